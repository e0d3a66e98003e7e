// A distinguished name as people write it (RFC 4514 §2), most specific part first: the form in which it is registered.
import { type Element, readElements } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'

/** Writes the DER of a Name; empty for an empty one. @throws RangeError when it is not a Name. */
export function formatName(name: Element): string {
  const relativeNames = readElements(name.content).map(relative =>
    readElements(relative.content).map(formatAttribute).join('+'),
  )
  return relativeNames.reverse().join(',')
}

function formatAttribute(attribute: Element): string {
  const [type, value] = readElements(attribute.content)
  if (type === undefined || value === undefined) throw new RangeError('not a name')
  const identifier = readObjectIdentifier(type.content)
  const shortName = shortNames[identifier]
  const text = textTags.includes(value.tag) ? value.content.toString('utf8') : undefined
  if (shortName === undefined || text === undefined) return `${shortName ?? identifier}=#${hexOf(value)}`
  return `${shortName}=${escapeValue(text)}`
}

/** RFC 4514 §3, and the two beyond it that registrations may use. */
const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'SERIALNUMBER',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'EMAILADDRESS',
}

/** UTF8String, PrintableString, IA5String. */
const textTags = [0x0c, 0x13, 0x16]

/** RFC 4514 §2.4. */
function escapeValue(text: string): string {
  return text
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
    .replaceAll('\0', '\\00')
}

/** The whole element, as RFC 4514 §2.4 writes a value that has no text. */
function hexOf({ tag, content }: Element): string {
  const { length } = content
  const digits = length.toString(16)
  const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex')
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | octets.length, ...octets]
  return Buffer.concat([Buffer.from(header), content]).toString('hex')
}
