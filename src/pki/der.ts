// The DER values of certificates and CRLs (X.690), encoded with node-forge's `asn1`. It only writes, except that it
// reads public keys that node:crypto has just exported.

import type { KeyObject } from 'node:crypto'
import type { asn1 as Forge } from 'node-forge'
import asn1 from 'node-forge/lib/asn1.js'

/** An ASN.1 value of node-forge, declared here so that `tlsbound/testing` does not need node-forge's types. */
export interface Der {
  tagClass: number
  type: number
  constructed: boolean
  composed: boolean
  value: string | Der[]
}

const { Class, Type } = asn1

// node-forge represents octets as a string with one character each.
const binary = (bytes: Buffer) => bytes.toString('latin1')
const primitive = (type: Forge.Type, value: string) => asn1.create(Class.UNIVERSAL, type, false, value)
const constructed = (type: Forge.Type, parts: readonly (Der | undefined)[]) =>
  asn1.create(
    Class.UNIVERSAL,
    type,
    true,
    parts.filter(part => part !== undefined),
  )

/** Builds a SEQUENCE; undefined parts are absent OPTIONAL ones. */
export const sequence = (parts: readonly (Der | undefined)[]): Der => constructed(Type.SEQUENCE, parts)

export const set = (parts: readonly Der[]): Der => constructed(Type.SET, parts)

export const oid = (dotted: string): Der => primitive(Type.OID, asn1.oidToDer(dotted).getBytes())

export const boolean = (value: boolean): Der => primitive(Type.BOOLEAN, value ? '\xff' : '\0')

export const nothing = (): Der => primitive(Type.NULL, '')

export const utf8String = (text: string): Der => primitive(Type.UTF8, binary(Buffer.from(text, 'utf8')))

/** Builds a character string of another type, by its tag and octets. */
export const characterString = (tag: 19 | 20 | 22 | 28 | 30, octets: Buffer): Der =>
  // node-forge expects a BMPString (30) as text, and writes two octets per character.
  asn1.create(
    Class.UNIVERSAL,
    tag as Forge.Type,
    false,
    tag === 30 ? Buffer.from(octets).swap16().toString('utf16le') : binary(octets),
  )

export const octetString = (bytes: Buffer): Der => primitive(Type.OCTETSTRING, binary(bytes))

export const bitString = (bytes: Buffer, unusedBits = 0): Der =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes))

/** Builds a non-negative INTEGER. */
export function integer(value: bigint | number): Der {
  const hex = value.toString(16)
  // A leading zero octet keeps the number positive; node-forge removes it where it is redundant.
  return primitive(Type.INTEGER, binary(Buffer.from(`00${hex.length % 2 ? '0' : ''}${hex}`, 'hex')))
}

/** Builds an ENUMERATED of one octet. */
export const enumerated = (value: number): Der => primitive(Type.ENUMERATED, String.fromCharCode(value))

/** Builds a Time: UTCTime until 2049, then GeneralizedTime (RFC 5280 §4.1.2.5). */
export function time(date: Date): Der {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  const year = date.getUTCFullYear()
  return year >= 1950 && year < 2050 ? primitive(Type.UTCTIME, text.slice(2)) : primitive(Type.GENERALIZEDTIME, text)
}

/** Builds a context-specific tag: explicit around parts, or IMPLICIT on octets. */
export function context(tag: number, content: Der[] | Buffer): Der {
  // The tag number is combined with the class: node-forge would treat type 2 as an INTEGER and trim its zeros.
  const identifier = Class.CONTEXT_SPECIFIC | tag
  return Array.isArray(content)
    ? asn1.create(identifier, Type.NONE, true, content)
    : asn1.create(identifier, Type.NONE, false, binary(content))
}

export const publicKeyInfo = (key: KeyObject): Der => asn1.fromDer(binary(key.export({ type: 'spki', format: 'der' })))

export const encode = (der: Der): Buffer => Buffer.from(asn1.toDer(der).getBytes(), 'latin1')
