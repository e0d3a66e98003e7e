// Why something was refused: the RFC's error code for programs, our reason for people and rules, one fixed sentence each.
// Codes: RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2, binding-proof draft §3.5. How a refusal looks over HTTP is verify/refusal.ts;
// why exactly something was refused, for the operator, is details.ts.

import type { CameWith } from './came-with.ts'
import { type Detail, type DetailOf, describeForClient, type details, type RefusalFacts } from './details.ts'

/** Every reason for a refusal, with the sentence that tells what to do next. The list is closed. */
export const reasons = {
  no_token: 'Send an access token in the Authorization header, as Bearer TOKEN.',
  malformed_request: 'The request is not of the form that this address takes; see the description of its parameters.',
  no_certificate: 'Connect with a client certificate; it must be sent in the TLS handshake.',
  certificate_untrusted:
    'Connect with a client certificate of an authority that this server trusts for client authentication.',
  certificate_expired: 'The client certificate is outside its validity period; connect with a renewed one.',
  certificate_revoked: 'The client certificate was revoked; connect with another one.',
  certificate_mismatch:
    'The token belongs to another client certificate; get a token with the certificate you present.',
  connection_mismatch: 'The token belongs to another TLS connection; get a token on the connection you use it on.',
  binding_unavailable:
    'This connection has no channel binding; use TLS 1.3, or TLS 1.2 with the extended master secret.',
  confirmation_malformed: 'The cnf claim of the token is not one that this server issues; get a new token.',
  bad_signature: 'The signature of the token does not hold for any key of the issuer; get a new token.',
  wrong_type: 'The token is not an access token of type at+jwt.',
  wrong_issuer: 'The token comes from another issuer.',
  wrong_audience: 'The token is meant for another resource server.',
  not_yet_valid: 'The token is not valid yet; compare the clocks.',
  expired: 'The token has expired; get a new one.',
  claims_malformed: 'A claim of the token is missing or malformed; get a new token.',
  binding_too_weak: 'This resource demands a token with a stronger binding; ask for another token_binding.',
  proof_missing: 'The token needs a binding proof; sign one for this connection and send it as Session-Binding-Proof.',
  proof_invalid: 'The binding proof does not hold for this token, connection and time; sign a new one.',
  revoked: 'The token was revoked; get a new one.',
  scope_missing: 'The token lacks a scope that this resource demands.',
  unknown_client: 'There is no client with this client_id.',
  client_mismatch: 'The client certificate, or the secret, is not the one that this client_id is registered with.',
  client_disabled: 'The client is disabled; ask the operator of this server.',
  grant_type_unsupported: 'This server does not know the grant_type.',
  grant_type_not_allowed: 'The client is not registered for this grant_type.',
  scope_denied: 'The client is not registered for a scope that it asks for.',
  binding_not_allowed: 'The client is not registered for this token_binding.',
  target_unknown: 'No tokens are issued for this resource.',
  refresh_unknown: 'This is no refresh token of the client; ask for a new grant.',
  refresh_expired: 'The grant has reached its end; ask for a new one.',
  refresh_reused: 'The refresh token was used already; a second use ends its grant, except in a race or a retry.',
  refresh_revoked: 'The grant was revoked; ask for a new one.',
  refresh_certificate_mismatch: 'The refresh token belongs to another client certificate; ask for a new grant.',
  subject_token_invalid: 'The subject_token is not one that this server exchanges, for this presenter.',
  issuer_unavailable: 'The issuer of the token does not give its keys; try again later.',
  report_signature_invalid:
    'The signature does not hold for this report by a key that is known here; sign the body exactly as it is sent.',
  reporter_unavailable: 'The keys of the reporter cannot be had; try again later.',
  store_unavailable: 'The server cannot reach its store; try again later.',
} as const satisfies Readonly<Record<keyof typeof details, string>>

export type Reason = keyof typeof reasons

export type ErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_token'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_proof'
  | 'use_session_binding'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'

/** The ids of a token that is one of the issuer's. */
export interface TokenFacts {
  readonly jti?: unknown
  readonly client_id: unknown
  readonly grant?: string
  /** `x5t#S256` of the certificate that it is bound to. */
  readonly bound_to?: string
  readonly token_binding?: string
  /** The certificate that it came with, compared with the one that it is bound to (theft.ts). */
  came_with?: CameWith
}

/** Why a request is refused: what the client is told, why exactly, and what was compared. */
export type Why = { [R in Reason]: readonly [reason: R, detail: DetailOf<R>, facts?: RefusalFacts | undefined] }[Reason]

/**
 * A refusal. `code` is undefined only for `no_token`: a request without a token has made no error (RFC 6750 §3.1). `reason` is
 * for the client; `detail` and `facts` are for the operator, in the event and the log.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: ErrorCode | undefined
  readonly reason: Reason
  readonly detail: Detail
  readonly facts: RefusalFacts
  /** The token that was refused, once its signature has shown that it is one of the issuer's. */
  token: TokenFacts | undefined

  constructor(code: ErrorCode | undefined, ...[reason, detail, facts = {}]: Why) {
    super(describeForClient(reason, detail, facts) ?? reasons[reason])
    this.code = code
    this.reason = reason
    this.detail = detail
    this.facts = facts
  }
}

/** The refusal of a request whose form is wrong (RFC 6749 §5.2). */
export function malformed(detail: DetailOf<'malformed_request'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'malformed_request', detail, facts)
}
