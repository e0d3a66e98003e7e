// Parses distinguished names, from the text of a registration (RFC 4514) and from the DER of a certificate, into one comparable
// form. Strict on purpose: a name that cannot be parsed exactly equals no other name (RFC 8705 §2.1.2, "predictable").
// name-text.ts converts names back into text.

import { parseAttributeType } from './attribute-types.ts'
import { decodeString } from './canonical-name.ts'
import { type Element, encodeElement, readElements } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'
import { trimCharacters } from './trim.ts'

/**
 * A name in canonical text form: JSON of the relative names, with sorted attributes. An attribute is `OID=TEXT` if its value is
 * plain text, otherwise `OID#DER` in hexadecimal.
 */
export type ComparableName = string

/** UTF8String, PrintableString, IA5String: the types that RFC 5280 §4.1.2.4 allows. They are compared by their text. */
const textTags = [0x0c, 0x13, 0x16]

/**
 * Parses a name in the format of RFC 4514, which starts with the last part of the name in the certificate:
 * `CN=alice,O=Example\, Inc.`. Spaces around the parts are ignored.
 * @throws RangeError whose message describes the invalid part.
 */
export function parseName(text: string): ComparableName {
  if (!text.isWellFormed()) throw new RangeError('it is not well-formed Unicode')
  if (text.trim() === '') throw new RangeError('it is empty')
  const relativeNames: string[][] = [[]]
  let at = 0
  let separator: string | undefined
  do {
    const equals = text.indexOf('=', at)
    if (equals === -1) throw new RangeError(`${JSON.stringify(text.slice(at, at + 40))} is not TYPE=VALUE`)
    const oid = parseAttributeType(trimCharacters(text.slice(at, equals), ' '))
    const { value, end } = scanValue(text, equals + 1)
    relativeNames.at(-1)?.push(oid + value)
    separator = text[end]
    at = end + 1
    if (separator === ',') relativeNames.push([])
  } while (separator !== undefined)
  return comparable(relativeNames.reverse())
}

/**
 * Parses the DER of a Name. Returns undefined if it is empty, or if a part is not a type and a value.
 * @throws RangeError for invalid DER.
 */
export function readName(name: Element): ComparableName | undefined {
  const relativeNames = readElements(name.content).map(relative => readElements(relative.content).map(readAttribute))
  const isComplete = relativeNames.length > 0 && relativeNames.flat().every(attribute => attribute !== undefined)
  return isComplete ? comparable(relativeNames as string[][]) : undefined
}

function readAttribute({ content }: Element): string | undefined {
  const [type, value, ...more] = readElements(content)
  if (type?.tag !== 0x06 || value === undefined || more.length > 0) return undefined
  return readObjectIdentifier(type.content) + comparableValue(value)
}

/** Returns whether two names have the same parts in reverse order. */
export function areReversed(one: ComparableName, other: ComparableName): boolean {
  return comparable(readComparable(one).reverse()) === other
}

/** Returns the name with each string value as text, regardless of its string type. For display, never for a decision. */
export function withoutStringTypes(name: ComparableName): ComparableName {
  return comparable(readComparable(name).map(attributes => attributes.map(withoutStringType)))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function comparable(relativeNames: readonly (readonly string[])[]): ComparableName {
  return JSON.stringify(relativeNames.map(attributes => attributes.toSorted()))
}

/** Returns the relative names of a name, each with its attributes, in the order of the certificate. */
export function readComparable(name: ComparableName): string[][] {
  return JSON.parse(name) as string[][]
}

function comparableValue(value: Element): string {
  const text = textTags.includes(value.tag) ? decodeText(value.content) : undefined
  return text === undefined ? `#${encodeElement(value).toString('hex')}` : `=${text}`
}

/** The characters that a backslash may escape, and those that must be escaped (RFC 4514 §3). */
const escapable = ' "#+,;<=>\\'
const special = '"+,;<>\\'

/** A value without escapes, which is taken as it is: octet by octet, the names of 10⁵ clients take a second. */
const plainValue = /([^"+,;<>\\\0 ]+(?: +[^"+,;<>\\\0 ]+)*) *(?=[,+]|$)/y

/** Parses a value, from after its `=` to the next separator or the end. @throws RangeError */
function scanValue(text: string, start: number): { value: string; end: number } {
  let at = start
  while (text[at] === ' ') at++
  if (text[at] === '#') return scanOctets(text, at + 1)
  plainValue.lastIndex = at
  const plain = plainValue.exec(text)
  if (plain !== null) return { value: `=${plain[1]}`, end: plainValue.lastIndex }
  const octets: Buffer[] = []
  let length = 0 // of `octets`, without unescaped spaces at the end
  while (at < text.length && text[at] !== ',' && text[at] !== '+') {
    const character = String.fromCodePoint(text.codePointAt(at) as number)
    if (character === '\\') {
      const pair = text.slice(at + 1, at + 3)
      const isHex = /^[0-9A-Fa-f]{2}$/.test(pair)
      if (!isHex && (pair === '' || !escapable.includes(pair[0] as string)))
        throw new RangeError('a backslash must be followed by a special character or two hexadecimal digits')
      octets.push(isHex ? Buffer.from(pair, 'hex') : Buffer.from(pair[0] as string))
      at += isHex ? 3 : 2
      length = octets.length
    } else {
      if (special.includes(character) || character === '\0')
        throw new RangeError(`${character === '\0' ? 'NUL' : character} must be escaped with a backslash`)
      octets.push(Buffer.from(character))
      at += character.length
      if (character !== ' ') length = octets.length
    }
  }
  if (length === 0) throw new RangeError('a value is empty; write the empty string as #0c00')
  const value = decodeText(Buffer.concat(octets.slice(0, length)))
  if (value === undefined) throw new RangeError('the escaped octets are not UTF-8')
  return { value: `=${value}`, end: at }
}

/** Parses the octets of a value in hexadecimal, as they are in the certificate (RFC 4514 §2.4). @throws RangeError */
function scanOctets(text: string, start: number): { value: string; end: number } {
  let end = start
  while (end < text.length && text[end] !== ',' && text[end] !== '+') end++
  const digits = trimCharacters(text.slice(start, end), ' ')
  if (!/^(?:[0-9A-Fa-f]{2})+$/.test(digits)) throw new RangeError('# must be followed by pairs of hexadecimal digits')
  const [value, ...more] = readValue(Buffer.from(digits, 'hex'))
  if (value === undefined || more.length > 0) throw new RangeError('the octets after # are more than one value')
  return { value: comparableValue(value), end }
}

/** @throws RangeError */
function readValue(octets: Buffer): Element[] {
  try {
    return readElements(octets)
  } catch {
    throw new RangeError('the octets after # are not valid DER, so no certificate can contain them')
  }
}

/** Splits an attribute of a comparable name. Either `text` or `der` is present. */
export function splitAttribute(attribute: string): { oid: string; text?: string; der?: Buffer } {
  const at = attribute.search(/[=#]/)
  const [oid, value] = [attribute.slice(0, at), attribute.slice(at + 1)]
  return attribute[at] === '=' ? { oid, text: value } : { oid, der: Buffer.from(value, 'hex') }
}

function withoutStringType(attribute: string): string {
  const { oid, der } = splitAttribute(attribute)
  const [value] = der === undefined ? [] : readElements(der)
  const text = value && decodeString(value)
  return text === undefined ? attribute : `${oid}=${text}`
}

function decodeText(octets: Buffer): string | undefined {
  try {
    return utf8.decode(octets)
  } catch {
    return undefined
  }
}
