// Checks the options of callers, many of which have no types. A misspelt option would otherwise disable a protection silently.
import { X509Certificate } from 'node:crypto'
import { escapeForDisplay } from './escape-for-display.ts'
import { isFileContent } from './file-content.ts'
import { findSimilarName } from './similar-name.ts'

/** What a valid value is, for messages, and whether a value is one. */
export interface Rule {
  readonly expected: string
  readonly isValid: (value: unknown) => boolean
}

export type Rules = Readonly<Record<string, Rule>>

/** The characters of a wrong value or name that messages quote at most, because it could be a secret in the wrong place. */
const longestQuote = 40

export const anyRule: Rule = { expected: 'any value', isValid: () => true }
export const textRule: Rule = { expected: 'a text', isValid: value => typeof value === 'string' }
export const filledRule: Rule = {
  expected: 'a non-empty string',
  isValid: value => typeof value === 'string' && value !== '',
}
/** One line of text. The content of a file in its place could be a key, and is not quoted by later messages either. */
export const lineRule: Rule = {
  expected: 'a non-empty string',
  isValid: value => typeof value === 'string' && value !== '' && !isFileContent(value),
}
export const pathRule: Rule = { ...lineRule, expected: 'the path of a file' }
export const countRule: Rule = {
  expected: 'an integer of at least 1',
  isValid: value => Number.isSafeInteger(value) && (value as number) >= 1,
}
export const booleanRule: Rule = { expected: 'true or false', isValid: value => typeof value === 'boolean' }
export const functionRule: Rule = { expected: 'a function', isValid: value => typeof value === 'function' }
export const objectRule: Rule = { expected: 'an object', isValid: isObject }
export const listRule: Rule = { expected: 'a list', isValid: Array.isArray }

/** Any text that contains a PEM block. The parser of the text finds other faults. */
export const pemRule: Rule = {
  expected: 'PEM text with a -----BEGIN line (the content of a file, not its path)',
  isValid: value => typeof value === 'string' && isPem(value),
}

/** Certificates in PEM. Only the first is parsed here. */
export const certificatesRule: Rule = {
  expected: 'valid certificates in PEM (the content of a file, not its path)',
  isValid: value => {
    try {
      return pemRule.isValid(value) && new X509Certificate(value as string).raw.length > 0
    } catch {
      return false
    }
  },
}

/** Returns the rule of an option with few possible values. */
export function oneOf(values: readonly string[]): Rule {
  return { expected: `one of ${values.join(', ')}`, isValid: value => values.includes(value as string) }
}

/**
 * Checks an object of options against rules, of which no other member may exist. `of` names the object in messages; undefined: its
 * members are named alone. An optional member may be undefined.
 * @throws TypeError that lists every problem.
 */
export function checkOptions(options: unknown, of: string | undefined, required: Rules, optional: Rules = {}): void {
  const problems = findWrongOptions(options, of, required, optional)
  if (problems.length > 0) throw new TypeError(problems.join('; '))
}

/** Returns a sentence for each wrong, missing or unknown member. Parameters: as of `checkOptions`. */
export function findWrongOptions(
  options: unknown,
  of: string | undefined,
  required: Rules,
  optional: Rules = {},
): string[] {
  const rules = { ...required, ...optional }
  const known = Object.keys(rules)
  if (!isObject(options) || options instanceof Promise) {
    const names = Object.keys(required).length > 0 ? Object.keys(required) : known
    return [`${of ?? 'options'} must be an object with ${names.join(', ')}, not ${describeFound(options)}`]
  }
  const given = options as Readonly<Record<string, unknown>>
  const prefix = of === undefined ? '' : `${of}.`
  const wrong = Object.entries(rules)
    .filter(
      ([name, { isValid }]) => !(given[name] === undefined && Object.hasOwn(optional, name)) && !isValid(given[name]),
    )
    .map(([name, { expected }]) => `${prefix}${name} must be ${expected}, not ${describeFound(given[name])}`)
  const unknown = Object.keys(given).filter(name => !Object.hasOwn(rules, name))
  return [...wrong, ...unknown.map(name => describeUnknown(name, known, prefix))]
}

/** Returns a sentence about an unknown member: the similar known one, otherwise all. */
export function describeUnknown(name: string, known: readonly string[], prefix = ''): string {
  const similar = name.length < 3 ? undefined : findSimilarName(name, known) // every short name is similar
  const quoted = isPem(name) ? 'PEM text' : shorten(name)
  const remedy = similar === undefined ? `expected: ${known.join(', ')}` : `did you mean ${prefix}${similar}?`
  return `${prefix}${quoted} is not an option; ${remedy}`
}

/** Describes what was found in the place of something else. A text that may be a key or a whole file is not quoted. */
export function describeFound(value: unknown): string {
  if (typeof value === 'string') {
    if (isPem(value)) return `PEM text (${/-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(value)?.[1] ?? 'without a label'})`
    return /[\r\n]/.test(value) ? 'a text of several lines' : `"${shorten(value)}"`
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null)
    return String(value)
  if (Array.isArray(value)) return 'a list'
  if (Buffer.isBuffer(value)) return 'a Buffer'
  if (value instanceof Promise) return 'a promise'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN ')
}

function shorten(text: string): string {
  return escapeForDisplay(text.length > longestQuote ? `${text.slice(0, longestQuote)}…` : text)
}
