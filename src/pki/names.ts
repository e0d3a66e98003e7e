// The names in a certificate: the distinguished name (RFC 5280 §4.1.2.4) and the alternative names (§4.2.1.6).
// Values are written unchanged, including NUL and newline: tests need certificates with forged names.

import { isIP } from 'node:net'
import type { Der } from './der.ts'
import { context, oid, sequence, set, utf8String } from './der.ts'

const attributeTypes = {
  CN: '2.5.4.3',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
}

/**
 * A subject or an issuer, such as `[['O', 'Example'], ['CN', 'carol']]`. The types are CN, serialNumber, C, L, ST, O, OU, UID, DC and
 * emailAddress. A value that is not text is written unchanged, for example as another string type.
 */
export type DistinguishedName = readonly (readonly [type: keyof typeof attributeTypes, value: string | Der])[]

/** A subject alternative name. */
export type AltName = { dns: string } | { ip: string } | { uri: string } | { email: string }

/** Builds a Name with one attribute per relative distinguished name, in the given order; it may be empty. */
export function distinguishedName(attributes: DistinguishedName): Der {
  return sequence(
    attributes.map(([type, value]) =>
      set([sequence([oid(attributeTypes[type]), typeof value === 'string' ? utf8String(value) : value])]),
    ),
  )
}

/**
 * Builds a GeneralName.
 * @throws TypeError when the text of an `ip` is not an IP address.
 */
export function generalName(name: AltName): Der {
  if ('email' in name) return context(1, Buffer.from(name.email))
  if ('dns' in name) return context(2, Buffer.from(name.dns))
  if ('uri' in name) return context(6, Buffer.from(name.uri))
  return context(7, addressBytes(name.ip))
}

function addressBytes(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from(ip.split('.').map(Number))
  if (isIP(ip) !== 6) throw new TypeError(`not an IP address: ${ip}`)
  // URL normalizes every notation of an IPv6 address to hexadecimal groups with at most one `::`.
  const [head = [], tail = []] = new URL(`http://[${ip}]`).hostname
    .slice(1, -1)
    .split('::')
    .map(half => half.split(':').filter(group => group !== ''))
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return Buffer.from([...head, ...zeros, ...tail].map(group => group.padStart(4, '0')).join(''), 'hex')
}
