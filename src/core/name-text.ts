// Formats distinguished names as in a registration (RFC 4514 §2), starting with the last part of the name in the certificate.
// `parseName` parses the result into the same name.
import { nameOfType } from './attribute-types.ts'
import { type Element, encodeElement } from './der.ts'
import { type ComparableName, readComparable, readName, splitAttribute } from './distinguished-name.ts'

/** Formats the DER of a Name; returns an empty string for an empty Name. @throws RangeError if it is not a Name. */
export function formatName(name: Element): string {
  if (name.content.length === 0) return ''
  const read = readName(name)
  if (read === undefined) throw new RangeError('not a name')
  return writeName(read)
}

/** Formats a name. Escapes characters that are not printable. */
export function writeName(name: ComparableName): string {
  return readComparable(name)
    .reverse()
    .map(attributes => attributes.map(writeAttribute).join('+'))
    .join(',')
}

function writeAttribute(attribute: string): string {
  const { oid, text, der } = splitAttribute(attribute)
  const name = nameOfType(oid)
  if (text !== undefined && text !== '' && name !== undefined) return `${name}=${escapeText(text)}`
  // RFC 4514 §2.4: if the type has no name, the value is written as octets.
  const octets = der ?? encodeElement({ tag: 0x0c, content: Buffer.from(text ?? '') })
  return `${name ?? oid}=#${octets.toString('hex')}`
}

function escapeText(text: string): string {
  return text
    .replaceAll(/["+,;<>\\]|^[ #]| $/g, '\\$&')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, odd => Buffer.from(odd).toString('hex').replaceAll(/../g, '\\$&'))
}
