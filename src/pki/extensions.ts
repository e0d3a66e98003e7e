// The extensions of certificates and CRLs that we write (RFC 5280 §4.2.1, §5.2).
// Each is critical where the RFC says that it must be, because `openssl verify -x509_strict` looks.

import type { KeyObject } from 'node:crypto'
import type { Der } from './der.ts'
import { bitString, boolean, context, encode, integer, octetString, oid, sequence } from './der.ts'
import type { AltName } from './names.ts'
import { generalName } from './names.ts'
import { keyIdentifier } from './signing.ts'

const purposes = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' }

export type Purpose = keyof typeof purposes

function extension(id: string, value: Der, { critical = false } = {}): Der {
  return sequence([oid(id), critical ? boolean(true) : undefined, octetString(encode(value))])
}

export function basicConstraints(pathLength?: number): Der {
  const limit = pathLength === undefined ? undefined : integer(pathLength)
  return extension('2.5.29.19', sequence([boolean(true), limit]), { critical: true })
}

/** A CA signs certificates and CRLs, everybody else signs handshakes. */
export function keyUsage(ca: boolean): Der {
  // Bit 0 is digitalSignature; 5 and 6 are keyCertSign and cRLSign. DER leaves out the zeros at the end.
  const bits = ca ? bitString(Buffer.from([0b0000_0110]), 1) : bitString(Buffer.from([0b1000_0000]), 7)
  return extension('2.5.29.15', bits, { critical: true })
}

export function extendedKeyUsage(allowed: readonly Purpose[]): Der {
  return extension('2.5.29.37', sequence(allowed.map(purpose => oid(purposes[purpose]))))
}

/** Critical when there is no other name to go by (RFC 5280 §4.2.1.6). */
export function subjectAltName(names: readonly AltName[], onlyName: boolean): Der {
  return extension('2.5.29.17', sequence(names.map(generalName)), { critical: onlyName })
}

export function nameConstraints(permittedDns: readonly string[]): Der {
  const permitted = permittedDns.map(dns => sequence([generalName({ dns })]))
  return extension('2.5.29.30', sequence([context(0, permitted)]), { critical: true })
}

export function subjectKeyIdentifier(key: KeyObject): Der {
  return extension('2.5.29.14', octetString(keyIdentifier(key)))
}

export function authorityKeyIdentifier(issuerKey: KeyObject): Der {
  return extension('2.5.29.35', sequence([context(0, keyIdentifier(issuerKey))]))
}

export function crlNumber(number: number): Der {
  return extension('2.5.29.20', integer(number))
}
