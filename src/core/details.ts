// A detail states the exact cause of a refusal, for the operator. The client receives only the reason (errors.ts). Each reason
// has one or more details; events and log lines contain the detail with the compared facts. The list is closed, and
// docs/reference/refusals.md is generated from it.

import { certificateDetails } from './details/certificates.ts'
import { clientDetails } from './details/clients.ts'
import type { Actor, DetailEntry, Sign } from './details/entry.ts'
import { grantDetails } from './details/grants.ts'
import { proofDetails } from './details/proofs.ts'
import { requestDetails } from './details/requests.ts'
import { serviceDetails } from './details/services.ts'
import { tokenDetails } from './details/tokens.ts'

export type { Actor, DetailEntry, Sign } from './details/entry.ts'
export type { FetchDetail } from './details/fetch.ts'

/** The details of each reason. */
export const details = {
  ...requestDetails,
  ...certificateDetails,
  ...tokenDetails,
  ...proofDetails,
  ...clientDetails,
  ...grantDetails,
  ...serviceDetails,
} as const

type Reason = keyof typeof details

/** Who can fix a refusal, unless its detail says otherwise. */
const actors: Readonly<Record<Reason, Actor>> = {
  no_token: 'client',
  malformed_request: 'client',
  no_certificate: 'client',
  certificate_untrusted: 'client',
  certificate_expired: 'client',
  certificate_revoked: 'client or operator',
  certificate_mismatch: 'client or operator',
  connection_mismatch: 'client or operator',
  binding_unavailable: 'client',
  confirmation_malformed: 'issuer',
  bad_signature: 'client',
  wrong_type: 'client or operator',
  wrong_issuer: 'client or operator',
  wrong_audience: 'client',
  not_yet_valid: 'issuer',
  expired: 'client',
  claims_malformed: 'issuer',
  binding_too_weak: 'client',
  proof_missing: 'client',
  proof_invalid: 'client',
  signature_missing: 'client',
  signature_invalid: 'client',
  digest_invalid: 'client',
  revoked: 'client',
  scope_missing: 'client or operator',
  unknown_client: 'client or operator',
  client_mismatch: 'client or operator',
  client_disabled: 'operator',
  grant_type_unsupported: 'client',
  grant_type_not_allowed: 'client or operator',
  scope_denied: 'client or operator',
  binding_not_allowed: 'client or operator',
  target_unknown: 'client or operator',
  refresh_unknown: 'client',
  refresh_expired: 'client',
  refresh_reused: 'client',
  refresh_revoked: 'client',
  refresh_certificate_mismatch: 'client',
  subject_token_invalid: 'client',
  issuer_unavailable: 'operator or issuer',
  report_signature_invalid: 'reporter',
  reporter_unavailable: 'operator or reporter',
  store_unavailable: 'operator',
  upstream_unavailable: 'operator',
  upstream_failed: 'operator',
  upstream_timeout: 'operator',
}

/** The names of the details of a reason. */
export type DetailOf<R extends Reason> = R extends Reason ? keyof (typeof details)[R] & string : never

export type Detail = DetailOf<Reason>

/** The meaning of each fact, in the order of the documentation. */
export const factNames = {
  parameter: 'name of the parameter',
  member: 'name of the member',
  claim: 'name of the claim',
  header: 'name of the header or header member',
  typ: 'typ of the token',
  found: 'what was found',
  expected: 'what was expected',
  limit: 'the limit that was exceeded: a number of characters, octets, items or seconds, as the cause says',
  code: 'error code of OpenSSL, the HTTP parser or the network',
  reason: 'the underlying reason',
  detail: 'the detail of the underlying reason',
  subject: 'subject of the presented certificate, in the format of RFC 4514',
  issuer: 'issuer of the certificate or token',
  serial: 'serial number of the certificate, hexadecimal',
  thumbprint: 'x5t#S256 of the presented certificate',
  authority: 'the authority that the detail is about',
  list: 'issuer, number and expiry of the revocation list that the detail is about',
  sent: 'subject of the first certificate that the client sent after its own',
  registered: 'the name that the client is registered with; for forwarded_by_client its client_id',
  presented: 'the name in the certificate',
  kid: 'kid of the token',
  alg: 'alg of the token, proof, signature or digest',
  token_binding: 'the requested token_binding',
  host: 'host of the request',
  origin: 'Origin header of the request',
  server_name: 'server name (SNI) of the TLS handshake',
  address: 'address that was fetched',
  fetched: 'time at which the address was fetched, seconds since 1970',
  now: 'time of this server with which found was compared, seconds since 1970',
  mark: 'mark of a revocation: tokens with an earlier iat are revoked; seconds since 1970, a few seconds after the revocation',
  first_use: 'seconds since the first use of the refresh token',
  grant_revoked: 'whether this refusal revoked the grant: yes or no',
  ignored_header:
    'a header field with a client certificate that was ignored, because no known proxy wrote it; in any refusal',
} as const

/** The compared values. Strings may come from the client; the event writer shortens and redacts them. */
export type RefusalFacts = { readonly [name in keyof typeof factNames]?: string | number | undefined }

/** Returns the entry of a detail. */
export function detailOf(reason: Reason, detail: string): DetailEntry {
  return (details[reason] as Readonly<Record<string, DetailEntry>>)[detail] as DetailEntry
}

/** Returns who can fix a refusal, and whether it may be a sign of an attack. */
export function classify(reason: Reason, detail: string): { readonly actor: Actor; readonly sign: Sign } {
  const { actor = actors[reason], sign = 'fault' } = detailOf(reason, detail)
  return { actor, sign }
}

/** Returns the text for the client, or undefined if it receives the sentence of the reason. ASCII without quotes (RFC 6749 §5.2). */
export function describeForClient(reason: Reason, detail: string, facts: RefusalFacts): string | undefined {
  const { cause, remedy, isPublic, sentence } = detailOf(reason, detail)
  if (isPublic !== true) return sentence
  const fill = (text: string) =>
    text.replace(/ ?\{(\w+)\}/g, (whole, name: keyof RefusalFacts) => {
      const fact = facts[name]?.toString()
      return fact !== undefined && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(fact)
        ? whole.replace(`{${name}}`, fact)
        : ''
    })
  return `${fill(cause)} ${fill(remedy)}`
}
