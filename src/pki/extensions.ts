// The extensions of issued certificates and CRLs (RFC 5280 §4.2.1, §5.2, §5.3), critical where the RFC requires it, as
// `openssl verify -x509_strict` checks.

import type { KeyObject } from 'node:crypto'
import type { Der } from './der.ts'
import { bitString, boolean, context, encode, enumerated, integer, octetString, oid, sequence } from './der.ts'
import type { AltName, DistinguishedName } from './names.ts'
import { distinguishedName, generalName } from './names.ts'
import { keyIdentifier } from './signing.ts'

/** A purpose of the extended key usage (RFC 5280 §4.2.1.12). */
export type Purpose = 'serverAuth' | 'clientAuth' | 'anyExtendedKeyUsage'

const purposes: Readonly<Record<Purpose, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  anyExtendedKeyUsage: '2.5.29.37.0',
}

/** The key usages of RFC 5280 §4.2.1.3 in the order of their bits. */
const keyUsages: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
]

/** A key usage (RFC 5280 §4.2.1.3). */
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'

/** Identifies the key of an issuer (RFC 5280 §4.2.1.1). */
export type AuthorityKey = {
  readonly key?: Buffer
  readonly issuer?: DistinguishedName
  readonly serial?: bigint
}

/** The scope of a list (RFC 5280 §5.2.5). Default: all certificates of its authority. */
export type ListScope = {
  readonly uris?: readonly string[]
  readonly onlyUserCertificates?: boolean
  readonly onlyAuthorities?: boolean
  readonly onlyAttributeCertificates?: boolean
  /** Whether it covers only the reason keyCompromise. */
  readonly onlySomeReasons?: boolean
  readonly indirect?: boolean
}

/** Any extension with its DER value. */
export function extension(id: string, value: Der, { critical = false } = {}): Der {
  return sequence([oid(id), critical ? boolean(true) : undefined, octetString(encode(value))])
}

export function basicConstraints(pathLength?: number): Der {
  const limit = pathLength === undefined ? undefined : integer(pathLength)
  return extension('2.5.29.19', sequence([boolean(true), limit]), { critical: true })
}

export function keyUsage(allowed: readonly KeyUsage[]): Der {
  const bits = keyUsages.map(usage => (allowed.includes(usage) ? '1' : '0')).join('')
  const used = bits.slice(0, bits.lastIndexOf('1') + 1) // DER omits trailing zeros
  const octet = Buffer.from([Number.parseInt(used.padEnd(8, '0'), 2)])
  return extension('2.5.29.15', bitString(octet, 8 - used.length), { critical: true })
}

export function extendedKeyUsage(allowed: readonly Purpose[]): Der {
  return extension('2.5.29.37', sequence(allowed.map(purpose => oid(purposes[purpose]))))
}

/** Critical for an empty subject (RFC 5280 §4.2.1.6). */
export function subjectAltName(names: readonly AltName[], onlyName: boolean): Der {
  return extension('2.5.29.17', sequence(names.map(generalName)), { critical: onlyName })
}

export function nameConstraints(permittedDns: readonly string[]): Der {
  const permitted = permittedDns.map(dns => sequence([generalName({ dns })]))
  return extension('2.5.29.30', sequence([context(0, permitted)]), { critical: true })
}

/** Builds one distribution point per URI. */
export function crlDistributionPoints(uris: readonly string[]): Der {
  return extension('2.5.29.31', sequence(uris.map(uri => sequence([context(0, [fullName([uri])])]))))
}

export function subjectKeyIdentifier(identifier: Buffer): Der {
  return extension('2.5.29.14', octetString(identifier))
}

export function authorityKeyIdentifier({ key, issuer, serial }: AuthorityKey): Der {
  const members = [
    key === undefined ? undefined : context(0, key),
    issuer === undefined ? undefined : context(1, [context(4, [distinguishedName(issuer)])]),
    serial === undefined ? undefined : context(2, serialOctets(serial)),
  ]
  return extension('2.5.29.35', sequence(members))
}

export function authorityKeyOf(issuerKey: KeyObject): AuthorityKey {
  return { key: keyIdentifier(issuerKey) }
}

export function crlNumber(number: number): Der {
  return extension('2.5.29.20', integer(number))
}

export function deltaCrlIndicator(baseNumber: number): Der {
  return extension('2.5.29.27', integer(baseNumber), { critical: true })
}

export function issuingDistributionPoint(scope: ListScope): Der {
  const {
    uris = [],
    onlyUserCertificates,
    onlyAuthorities,
    onlySomeReasons,
    indirect,
    onlyAttributeCertificates,
  } = scope
  const flag = (tag: number, isOn: boolean | undefined) => (isOn ? context(tag, Buffer.from([0xff])) : undefined)
  const members = [
    uris.length > 0 ? context(0, [fullName(uris)]) : undefined,
    flag(1, onlyUserCertificates),
    flag(2, onlyAuthorities),
    onlySomeReasons ? context(3, Buffer.from([6, 0x40])) : undefined, // keyCompromise, of a BIT STRING
    flag(4, indirect),
    flag(5, onlyAttributeCertificates),
  ]
  return extension('2.5.29.28', sequence(members), { critical: true })
}

/** The reason of an entry by number (RFC 5280 §5.3.1): 1 keyCompromise, 8 removeFromCRL … */
export function reasonCode(reason: number): Der {
  return extension('2.5.29.21', enumerated(reason))
}

/** The issuer of the certificate in an entry of an indirect list (RFC 5280 §5.3.3). */
export function certificateIssuer(name: DistinguishedName): Der {
  return extension('2.5.29.29', sequence([context(4, [distinguishedName(name)])]), { critical: true })
}

function fullName(uris: readonly string[]): Der {
  return context(
    0,
    uris.map(uri => generalName({ uri })),
  )
}

function serialOctets(serial: bigint): Buffer {
  const hex = serial.toString(16)
  const octets = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return (octets[0] as number) >= 0x80 ? Buffer.concat([Buffer.alloc(1), octets]) : octets
}
