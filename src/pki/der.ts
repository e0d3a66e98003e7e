// The few DER values that certificates and CRLs are made of (X.690), assembled by node-forge's `asn1`.
// This file writes. The only bytes it ever reads are a public key that node:crypto exported a moment ago.

import type { KeyObject } from 'node:crypto'
import type { asn1 as Forge } from 'node-forge'
import asn1 from 'node-forge/lib/asn1.js'

/** An ASN.1 value of node-forge. Described here, so that users of `tlsbound/testing` do not need node-forge's types. */
export interface Der {
  tagClass: number
  type: number
  constructed: boolean
  composed: boolean
  value: string | Der[]
}

const { Class, Type } = asn1

// forge wants bytes as a string with one character per byte.
const binary = (bytes: Buffer) => bytes.toString('latin1')
const primitive = (type: Forge.Type, value: string) => asn1.create(Class.UNIVERSAL, type, false, value)
const constructed = (type: Forge.Type, parts: readonly (Der | undefined)[]) =>
  asn1.create(
    Class.UNIVERSAL,
    type,
    true,
    parts.filter(part => part !== undefined),
  )

/** A SEQUENCE; parts that are undefined are OPTIONAL ones left out. */
export const sequence = (parts: readonly (Der | undefined)[]): Der => constructed(Type.SEQUENCE, parts)

export const set = (parts: readonly Der[]): Der => constructed(Type.SET, parts)

export const oid = (dotted: string): Der => primitive(Type.OID, asn1.oidToDer(dotted).getBytes())

export const boolean = (value: boolean): Der => primitive(Type.BOOLEAN, value ? '\xff' : '\0')

export const nothing = (): Der => primitive(Type.NULL, '')

export const utf8String = (text: string): Der => primitive(Type.UTF8, binary(Buffer.from(text, 'utf8')))

/** A character string of another type by its tag, whose octets are given. */
export const characterString = (tag: 19 | 20 | 22 | 28 | 30, octets: Buffer): Der =>
  // forge wants a BMPString (30) as text, and writes two octets for each of its characters.
  asn1.create(
    Class.UNIVERSAL,
    tag as Forge.Type,
    false,
    tag === 30 ? Buffer.from(octets).swap16().toString('utf16le') : binary(octets),
  )

export const octetString = (bytes: Buffer): Der => primitive(Type.OCTETSTRING, binary(bytes))

export const bitString = (bytes: Buffer, unusedBits = 0): Der =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes))

/** An INTEGER that is not negative. */
export function integer(value: bigint | number): Der {
  const hex = value.toString(16)
  // One zero byte too many keeps a leading 1 bit from reading as a minus sign; forge drops it where it is not needed.
  return primitive(Type.INTEGER, binary(Buffer.from(`00${hex.length % 2 ? '0' : ''}${hex}`, 'hex')))
}

/** An ENUMERATED of one octet. */
export const enumerated = (value: number): Der => primitive(Type.ENUMERATED, String.fromCharCode(value))

/** A Time: UTCTime as long as two digits can tell the year, then GeneralizedTime (RFC 5280 §4.1.2.5). */
export function time(date: Date): Der {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  const year = date.getUTCFullYear()
  return year >= 1950 && year < 2050 ? primitive(Type.UTCTIME, text.slice(2)) : primitive(Type.GENERALIZEDTIME, text)
}

/** A context-specific tag: around parts, or (IMPLICIT, over a primitive type) on bytes. */
export function context(tag: number, content: Der[] | Buffer): Der {
  // The tag number goes in with the class: as a type of its own, forge would take [2] for an INTEGER and trim its zeros.
  const identifier = Class.CONTEXT_SPECIFIC | tag
  return Array.isArray(content)
    ? asn1.create(identifier, Type.NONE, true, content)
    : asn1.create(identifier, Type.NONE, false, binary(content))
}

export const publicKeyInfo = (key: KeyObject): Der => asn1.fromDer(binary(key.export({ type: 'spki', format: 'der' })))

export const encode = (der: Der): Buffer => Buffer.from(asn1.toDer(der).getBytes(), 'latin1')
