// Parses JSON files (RFC 8259). In contrast to JSON.parse, it rejects duplicate members, and reports the line and column of an
// error. Errors never quote the text, because some of these files are secret.

import { isUtf8 } from 'node:buffer'
import { maximumDepth } from '../core/json-depth.ts'
import { atOnce, type Steps } from '../core/steps.ts'
import { FileProblem, type Finding, findUtf16, quoteForShell } from './file-problem.ts'

/**
 * Parses a JSON text whose outermost value has the type `wanted`. `file` is the name for errors.
 * @throws FileProblem, which never quotes the content.
 */
export function parseJsonText(content: Buffer, file: string, wanted: 'array' | 'object'): unknown {
  return atOnce(parseJsonInSteps(content, file, wanted))
}

/** `parseJsonText` in steps; `JSON.parse` itself is one step. */
export function* parseJsonInSteps(content: Buffer, file: string, wanted: 'array' | 'object'): Steps<unknown> {
  const utf16 = findUtf16(content, file)
  if (utf16 !== undefined) throw new FileProblem(file, utf16)
  const text = decode(content, file)
  yield
  const finding = yield* findProblemInSteps(text)
  if (finding !== undefined) throw new FileProblem(file, finding)
  yield
  const value: unknown = JSON.parse(text)
  yield
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  if (type === wanted) return value
  throw new FileProblem(file, { found: `the outermost value is ${nameOf(type)}, ${nameOf(wanted)} is needed` })
}

/** Decodes UTF-8. Skips a leading byte-order mark, as RFC 8259 §8.1 allows. */
function decode(content: Buffer, file: string): string {
  if (!isUtf8(content)) {
    const remedy = `if it is Latin-1, convert it: iconv -f ISO-8859-1 -t UTF-8 ${quoteForShell(file)} > NEW.json`
    throw new FileProblem(file, { found: 'this is not UTF-8 text, UTF-8 is needed', remedy })
  }
  const text = content.toString()
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** Finds the first error in a JSON text, in linear time. The text may be nested `maximumDepth` levels deep. */
export function findJsonProblem(text: string): Finding | undefined {
  return atOnce(findProblemInSteps(text))
}

/** Tokens of one step. */
const portion = 4096

function* findProblemInSteps(text: string): Steps<Finding | undefined> {
  let tokens = 0
  const open: { readonly isObject: boolean; readonly start: number; readonly names: Set<string> | undefined }[] = []
  let next: 'value' | 'value or end' | 'name' | 'name or end' | 'colon' | 'comma or end' | 'nothing' = 'value'
  let comma: number | undefined
  const fail = (at: number, found: string, remedy?: string) => ({ position: positionOf(text, at), found, remedy })
  for (let token = parseToken(text, 0); ; token = parseToken(text, token.end)) {
    if (++tokens % portion === 0) yield
    const { kind, start } = token
    const around = open.at(-1)
    if (kind === 'other') return fail(start, ...describeOther(text, start))
    if (kind === 'end') {
      if (next === 'nothing') return undefined
      if (around === undefined) return { found: 'the file is empty, JSON is needed' }
      const began = positionOf(text, around.start)
      return fail(start, `the text ends inside the ${around.isObject ? 'object' : 'array'} that begins at ${began}`)
    }
    if (next === 'nothing') return fail(start, 'there is text after the end of the value', 'remove it')
    if (kind === '}' || kind === ']') {
      if (comma !== undefined) return fail(comma, `there is a comma before ${kind}`, 'remove the comma')
      if (around?.isObject !== (kind === '}') || !next.endsWith('end'))
        return fail(start, `${kind} is not expected here`)
      open.pop()
      next = open.length === 0 ? 'nothing' : 'comma or end'
      continue
    }
    comma = undefined
    if (next === 'comma or end') {
      if (kind !== ',') return fail(start, 'a comma is missing before this')
      comma = start
      next = around?.isObject ? 'name' : 'value'
    } else if (next === 'colon') {
      if (kind !== ':') return fail(start, 'a colon is missing between a name and its value')
      next = 'value'
    } else if (kind === ',' || kind === ':') return fail(start, `${kind} is not expected here`)
    else if (next === 'name' || next === 'name or end') {
      if (kind !== 'string') return fail(start, 'the name of a member must be a string in double quotes')
      const name = decodeName(text.slice(start, token.end))
      if (around?.names?.has(name)) return fail(start, 'this member occurs twice in its object', 'remove one of them')
      around?.names?.add(name)
      next = 'colon'
    } else if (kind === '{' || kind === '[') {
      if (open.length === maximumDepth)
        return fail(start, `objects and arrays are nested more than ${maximumDepth} deep`)
      const isObject = kind === '{'
      open.push({ isObject, start, names: isObject ? new Set() : undefined })
      next = isObject ? 'name or end' : 'value or end'
    } else next = open.length === 0 ? 'nothing' : 'comma or end'
  }
}

/** Decodes a valid string in its quotes. Most names have no escapes. */
function decodeName(literal: string): string {
  return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1)
}

interface Token {
  readonly kind: '{' | '}' | '[' | ']' | ':' | ',' | 'string' | 'word' | 'end' | 'other'
  readonly start: number
  readonly end: number
}

/** Scans the token at `at`, after optional white space. */
function parseToken(text: string, at: number): Token {
  const start = skip(whiteSpace, text, at)
  if (start === text.length) return { kind: 'end', start, end: start }
  const first = text.charAt(start)
  if ('{}[]:,'.includes(first)) return { kind: first as Token['kind'], start, end: start + 1 }
  if (first === '"') {
    // One escape at a time: a single expression for the whole string would overflow the stack for a long one.
    let end = skip(plainCharacters, text, start + 1)
    for (let next = skip(escaped, text, end); next > end; next = skip(escaped, text, end))
      end = skip(plainCharacters, text, next)
    return { kind: text[end] === '"' ? 'string' : 'other', start, end: end + 1 }
  }
  const end = skip(numberOrWord, text, start)
  return { kind: end > start ? 'word' : 'other', start, end }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

const whiteSpace = /[ \t\r\n]*/y
const plainCharacters = /[ !#-[\]-\uffff]*/y
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const numberOrWord = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/** Describes invalid text at a position. */
function describeOther(text: string, at: number): readonly [found: string, remedy?: string] {
  const rest = text.slice(at, at + 40)
  if (/^(\/\/|\/\*|#)/.test(rest)) return ['comments are not part of JSON', 'remove the comment']
  if (/^-----BEGIN /.test(rest)) return ['this is PEM, JSON is needed']
  if (/^<(?:!doctype|html|head|\?xml)/i.test(rest)) return ['this is a web page (HTML or XML), JSON is needed']
  if (rest.startsWith('"'))
    return ['this string has no closing quote, or contains a character that must be escaped with a backslash']
  if (/^['\u2018-\u201f`]/.test(rest)) return ['strings and names need straight double quotes']
  if (/^[A-Za-z_$]/.test(rest)) return ['this word is not JSON', 'put strings and names in double quotes']
  if (/^[-+.\d]/.test(rest)) return ['this number is not valid JSON']
  return ['this character is not JSON']
}

/** Returns line and column, from 1; columns count characters. */
function positionOf(text: string, at: number): string {
  const before = text.slice(0, at).split(/\r\n|[\r\n]/)
  return `line ${before.length}, column ${[...(before.at(-1) as string)].length + 1}`
}

function nameOf(type: string): string {
  return type === 'null' ? type : `${/^[ao]/.test(type) ? 'an' : 'a'} ${type}`
}
