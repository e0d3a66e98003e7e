// Issues certificate revocation lists, version 2 (RFC 5280 §5.1), for the demo, the tests and the bench.

import type { X509Certificate } from 'node:crypto'
import type { Identity } from './certificate.ts'
import { context, integer, sequence, time } from './der.ts'
import { authorityKeyIdentifier, crlNumber } from './extensions.ts'
import { distinguishedName } from './names.ts'
import { buildSigned } from './signing.ts'

export type CrlOrder = {
  readonly issuer: Identity
  /** Of a certificate only the serial number is used, so that a test can revoke a million without issuing them. */
  readonly revoked: readonly Pick<X509Certificate, 'serialNumber'>[]
  /** A minute ago. */
  readonly thisUpdate?: Date
  /** A week after `thisUpdate`. */
  readonly nextUpdate?: Date
  /** Must grow from one list to the next; by default the milliseconds since 1970. */
  readonly number?: number
}

const MINUTE = 60_000
const WEEK = 7 * 24 * 60 * MINUTE

/** Issues the list in PEM; every certificate on it counts as revoked since `thisUpdate`. */
export function issueCrl(order: CrlOrder): string {
  const { issuer, thisUpdate = new Date(Date.now() - MINUTE), number = Date.now() } = order
  const { nextUpdate = new Date(thisUpdate.getTime() + WEEK) } = order
  const since = time(thisUpdate)
  const entries = order.revoked.map(({ serialNumber }) => sequence([integer(BigInt(`0x${serialNumber}`)), since]))

  const der = buildSigned(issuer.privateKey, 'sha256', algorithm =>
    sequence([
      integer(1), // version 2
      algorithm,
      distinguishedName(issuer.subject),
      since,
      time(nextUpdate),
      // An empty list must be left out (RFC 5280 §5.1.2.6).
      entries.length > 0 ? sequence(entries) : undefined,
      context(0, [sequence([authorityKeyIdentifier(issuer.publicKey), crlNumber(number)])]),
    ]),
  )
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`
}
