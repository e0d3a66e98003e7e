// Names as OpenSSL compares them: without regard to case, to white space, and to the string type that an encoder has chosen
// (X509_NAME_cmp; RFC 5280 §7.1). Only to find which revocation list OpenSSL takes for which authority. Clients are
// recognized by distinguished-name.ts, which is strict.
import { type Element, readElements } from './der.ts'

/** A name in which OpenSSL sees no difference where two are equal. */
export type CanonicalName = string

/** Reads the DER of a Name. @throws RangeError when it is not one. */
export function readCanonicalName(name: Element): CanonicalName {
  const relativeNames = readElements(name.content).map(relative =>
    readElements(relative.content)
      .map(attribute => {
        const [type, value] = readElements(attribute.content)
        if (type === undefined || value === undefined) throw new RangeError('not a name')
        return `${type.content.toString('hex')}=${canonicalValue(value)}`
      })
      .sort(),
  )
  return JSON.stringify(relativeNames)
}

function canonicalValue({ tag, content }: Element): string {
  const text = decodeString({ tag, content })
  if (text === undefined) return `${tag}:${content.toString('hex')}`
  return text
    .replace(/[\t\n\v\f\r ]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]+/g, letters => letters.toLowerCase()) // ASCII alone, as OpenSSL does
}

/** The text of a value in one of the string types; undefined: it is no text. @throws RangeError for octets that are none. */
export function decodeString({ tag, content }: Element): string | undefined {
  return decoders.get(tag)?.(content)
}

const latin1 = (content: Buffer) => content.toString('latin1')

/** By tag: the string types that OpenSSL turns into UTF-8 before it compares. */
const decoders: ReadonlyMap<number, (content: Buffer) => string> = new Map([
  [0x0c, content => content.toString('utf8')],
  [0x13, latin1], // PrintableString
  [0x14, latin1], // TeletexString, which OpenSSL reads as ISO 8859-1
  [0x16, latin1], // IA5String
  [0x1c, decodeUniversalString],
  [0x1e, decodeBmpString],
])

/** UCS-4. */
function decodeUniversalString(content: Buffer): string {
  if (content.length % 4 !== 0) throw new RangeError('not a UniversalString')
  const points = Array.from({ length: content.length / 4 }, (_, index) => content.readUInt32BE(index * 4))
  return points.map(point => String.fromCodePoint(point)).join('')
}

/** UCS-2. */
function decodeBmpString(content: Buffer): string {
  if (content.length % 2 !== 0) throw new RangeError('not a BMPString')
  return Buffer.from(content).swap16().toString('utf16le')
}
