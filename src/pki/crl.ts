// Issues certificate revocation lists, version 2 (RFC 5280 §5.1), for the demo, the tests and the bench.

import type { X509Certificate } from 'node:crypto'
import type { Identity } from './certificate.ts'
import type { Der } from './der.ts'
import { context, integer, sequence, time } from './der.ts'
import type { AuthorityKey, ListScope } from './extensions.ts'
import { authorityKeyIdentifier, authorityKeyOf, crlNumber, issuingDistributionPoint } from './extensions.ts'
import { distinguishedName } from './names.ts'
import { buildSigned, type Digest } from './signing.ts'

/** Only the serial number of a certificate is used, so that a test can revoke a million without issuing them. */
export type Revoked = Pick<X509Certificate, 'serialNumber'> & {
  /** Extensions of the entry. */
  readonly extensions?: readonly Der[]
}

/** The list to issue: `{ issuer: server.pki.ca, revoked: [server.pki.bob.x509] }`. */
export type CrlOrder = {
  readonly issuer: Identity
  readonly revoked: readonly Revoked[]
  /** Default: a minute ago. */
  readonly thisUpdate?: Date
  /** Default: a week after `thisUpdate`. null: none. */
  readonly nextUpdate?: Date | null
  /** Must increase from list to list. Default: the milliseconds since 1970. */
  readonly number?: number
  readonly scope?: ListScope
  /** Default: the issuer key's. null: no extension. */
  readonly authorityKeyIdentifier?: AuthorityKey | null
  /** Further extensions of the list, written unchanged. */
  readonly extensions?: readonly Der[]
  /** Version 1 has no extensions. Default 2. */
  readonly version?: 1 | 2
  readonly digest?: Digest
}

const MINUTE = 60_000
const WEEK = 7 * 24 * 60 * MINUTE

/** Issues the list in PEM; its entries are revoked since `thisUpdate`. */
export function issueCrl(order: CrlOrder): string {
  const { issuer, version = 2, thisUpdate = new Date(Date.now() - MINUTE) } = order
  const { nextUpdate = new Date(thisUpdate.getTime() + WEEK) } = order
  const since = time(thisUpdate)
  const entries = order.revoked.map(({ serialNumber, extensions = [] }) =>
    sequence([
      integer(BigInt(`0x${serialNumber}`)),
      since,
      extensions.length > 0 ? sequence([...extensions]) : undefined,
    ]),
  )

  const der = buildSigned(issuer.privateKey, order.digest ?? 'sha256', algorithm =>
    sequence([
      version === 2 ? integer(1) : undefined,
      algorithm,
      distinguishedName(issuer.subject),
      since,
      nextUpdate === null ? undefined : time(nextUpdate),
      // An empty list must be left out (RFC 5280 §5.1.2.6).
      entries.length > 0 ? sequence(entries) : undefined,
      version === 2 ? context(0, [sequence(extensionsOf(order))]) : undefined,
    ]),
  )
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`
}

function extensionsOf(order: CrlOrder): (Der | undefined)[] {
  const { issuer, scope, number = Date.now(), extensions = [] } = order
  const { authorityKeyIdentifier: authorityKey = authorityKeyOf(issuer.publicKey) } = order
  return [
    authorityKey === null ? undefined : authorityKeyIdentifier(authorityKey),
    crlNumber(number),
    scope === undefined ? undefined : issuingDistributionPoint(scope),
    ...extensions,
  ]
}
