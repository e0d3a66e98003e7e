// A distinguished name as people write it (RFC 4514 §2), the last part of the certificate's name first: the form in which it
// is registered, and which `parseName` reads as the same name.
import { nameOfType } from './attribute-types.ts'
import { type Element, encodeElement } from './der.ts'
import { type ComparableName, readComparable, readName, splitAttribute } from './distinguished-name.ts'

/** Writes the DER of a Name; empty for an empty one. @throws RangeError when it is not a Name. */
export function formatName(name: Element): string {
  if (name.content.length === 0) return ''
  const read = readName(name)
  if (read === undefined) throw new RangeError('not a name')
  return writeName(read)
}

/** Writes a name. What is not printable is escaped. */
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
  // RFC 4514 §2.4: of a type without a name, the value is always written as its octets.
  const octets = der ?? encodeElement({ tag: 0x0c, content: Buffer.from(text ?? '') })
  return `${name ?? oid}=#${octets.toString('hex')}`
}

function escapeText(text: string): string {
  return text
    .replaceAll(/["+,;<>\\]|^[ #]| $/g, '\\$&')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, odd => Buffer.from(odd).toString('hex').replaceAll(/../g, '\\$&'))
}
