// Distinguished names, from a registration's text (RFC 4514) and from a certificate's DER, in one comparable form.
// Strict on purpose: a name that we cannot read exactly is not equal to anything (RFC 8705 §2.1.2, "predictable").
import { type Element, readElements } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'

/** A name as text in which each relative name, attribute type (as OID) and value has one place and one spelling. */
export type ComparableName = string

/** RFC 4514 §3, and two types that certificates often have. */
const attributeTypes: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  STREET: '2.5.4.9',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
  SERIALNUMBER: '2.5.4.5',
  EMAILADDRESS: '1.2.840.113549.1.9.1',
}

/** UTF8String, PrintableString, IA5String: what RFC 5280 §4.1.2.4 lets an authority use, and all that we compare. */
const textTags = [0x0c, 0x13, 0x16]

/** One `type=value` and what follows it. Only what RFC 4514 §3 lets stand without a backslash does. */
const attributeForm =
  / *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*) *= *(?![ #])((?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^\\,+"<>;\0])+?) *([,+]|$)/uy

/** Reads a name as people write it, most specific part first: `CN=alice,O=Example\, Inc.`. @throws RangeError */
export function parseName(text: string): ComparableName {
  const form = new RegExp(attributeForm)
  const relativeNames: Attribute[][] = [[]]
  let separator: string | undefined
  do {
    const [, type = '', value = '', next] = form.exec(text) ?? []
    const oid = /^\d/.test(type) ? type : attributeTypes[type.toUpperCase()]
    const plain = decodeText(unescapeValue(value))
    if (oid === undefined || plain === undefined) throw new RangeError('not a distinguished name')
    relativeNames.at(-1)?.push([oid, plain])
    separator = next
    if (separator === ',') relativeNames.push([])
  } while (separator !== '')
  return comparable(relativeNames.reverse())
}

/** Reads the DER of a Name. Returns undefined for an empty one and for one with a value that is not plain text. */
export function readName(name: Element): ComparableName | undefined {
  const relativeNames = readElements(name.content).map(relative =>
    readElements(relative.content).map(attribute => {
      const [type, value] = readElements(attribute.content)
      const text = value && textTags.includes(value.tag) ? decodeText(value.content) : undefined
      return type && text !== undefined ? ([readObjectIdentifier(type.content), text] as const) : undefined
    }),
  )
  const isPlain = relativeNames.length > 0 && relativeNames.flat().every(attribute => attribute !== undefined)
  return isPlain ? comparable(relativeNames as Attribute[][]) : undefined
}

type Attribute = readonly [oid: string, value: string]

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function comparable(relativeNames: Attribute[][]): ComparableName {
  return JSON.stringify(relativeNames.map(attributes => attributes.map(pair => pair.join('=')).sort()))
}

/** RFC 4514 §2.4: a backslash before a special character, or before two hexadecimal digits of an octet of UTF-8. */
function unescapeValue(value: string): Buffer {
  const octets = [...value.matchAll(/\\([0-9A-Fa-f]{2})|\\?(.)/gsu)].map(([, hex, plain]) =>
    hex ? Buffer.from(hex, 'hex') : Buffer.from(plain as string),
  )
  return Buffer.concat(octets)
}

function decodeText(octets: Buffer): string | undefined {
  try {
    return utf8.decode(octets)
  } catch {
    return undefined
  }
}
