// Normalizes names as OpenSSL compares them: ignoring case, white space and string type (X509_NAME_cmp; RFC 5280 §7.1).
// Used only to find the revocation list that OpenSSL uses for an authority. distinguished-name.ts identifies clients, strictly.
import { type Element, readElements } from './der.ts'

/** Two names are equal exactly if OpenSSL considers them equal. */
export type CanonicalName = string

/** Parses the DER of a Name. @throws RangeError if it is not a Name. */
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
    .replace(/[A-Z]+/g, letters => letters.toLowerCase()) // only ASCII, as OpenSSL does
}

/** Decodes a value. Returns undefined if its tag is not a string type. @throws RangeError for invalid octets. */
export function decodeString({ tag, content }: Element): string | undefined {
  return decoders.get(tag)?.(content)
}

const latin1 = (content: Buffer) => content.toString('latin1')

/** By tag: the string types that OpenSSL converts to UTF-8 before it compares. */
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
