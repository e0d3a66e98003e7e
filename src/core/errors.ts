// Why a request was refused: an error code from the RFCs, and a reason of this project with one fixed sentence.
// Codes: RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2, binding-proof draft §3.5. verify/refusal.ts writes the HTTP response;
// details.ts explains the exact cause to the operator.

import type { CameWith } from './came-with.ts'
import { type Detail, type DetailOf, describeForClient, type details, type RefusalFacts } from './details.ts'

/** Every reason for a refusal, with the sentence for the client. The list is closed. */
export const reasons = {
  no_token: 'Send an access token in the Authorization header, as Bearer TOKEN.',
  malformed_request: 'The request is malformed; see the description of the parameters of this endpoint.',
  no_certificate: 'Connect with a client certificate; it must be sent in the TLS handshake.',
  certificate_untrusted:
    'The client certificate cannot be verified; connect with one from an authority that this server trusts for clients.',
  certificate_expired: 'The client certificate is outside its validity period; connect with a renewed one.',
  certificate_revoked:
    'The client certificate or one of its authorities was revoked; connect with another certificate.',
  certificate_mismatch:
    'The token is bound to another client certificate; get a token with the certificate you present.',
  connection_mismatch: 'The token is bound to another TLS connection; get a token on the connection you use it on.',
  binding_unavailable:
    'This connection or client certificate does not support the token_binding; use TLS 1.3, or request another one.',
  confirmation_malformed: 'The token has no cnf claim in a supported form; get a new token.',
  bad_signature: 'The form of the token is not valid, or no key of its issuer verifies its signature; get a new token.',
  wrong_type: 'The token is not an access token of a type that this resource server accepts.',
  wrong_issuer: 'The token is from another issuer.',
  wrong_audience: 'The token is for another resource server.',
  not_yet_valid: 'The token is not valid yet; compare the clocks.',
  expired: 'The token has expired; get a new one.',
  claims_malformed: 'A claim of the token is missing, malformed or out of range; get a new token.',
  binding_too_weak: 'This resource requires a token with a stronger binding; request another token_binding.',
  proof_missing:
    'The token requires a binding proof; sign one for this connection and send it as Session-Binding-Proof.',
  proof_invalid: 'The binding proof is not valid for this token, connection, request and time; sign a new one.',
  signature_missing: 'This resource requires a signed request; sign it as Accept-Signature says (RFC 9421).',
  signature_invalid: 'The signature of the request is not valid for this request, certificate, connection and time.',
  digest_invalid: 'The body of the request does not match a digest in Content-Digest (RFC 9530); send it again.',
  revoked: 'The token, its client or its signing key was revoked; get a new token.',
  scope_missing: 'The token lacks a scope that this resource requires.',
  unknown_client: 'No client is registered with this client_id.',
  client_mismatch: 'The client certificate or the secret is not accepted for this client_id.',
  client_disabled: 'The client is disabled; contact the operator of this server.',
  grant_type_unsupported: 'This server does not support the grant_type.',
  grant_type_not_allowed: 'The client is not registered for this grant_type.',
  scope_denied: 'The client is not registered for a scope that it requests.',
  binding_not_allowed: 'The client is not registered for this token_binding.',
  target_unknown: 'This server issues no tokens for this resource.',
  refresh_unknown: 'The client has no such refresh token; request a new grant.',
  refresh_expired: 'The grant has expired; request a new one.',
  refresh_reused: 'The refresh token was already used; use its successor, or request a new grant.',
  refresh_revoked: 'The grant was revoked; request a new one.',
  refresh_certificate_mismatch: 'The refresh token is bound to another client certificate; request a new grant.',
  subject_token_invalid: 'This server cannot exchange the subject_token for this client.',
  issuer_unavailable: 'The token issuer did not provide its keys, or the state of the token; try again later.',
  report_signature_invalid: 'No known key verifies the signature of this report; sign the body exactly as it is sent.',
  reporter_unavailable: 'The keys of the reporter could not be fetched; try again later.',
  store_unavailable: 'The server cannot use its store or write its security events; try again later.',
  upstream_unavailable: 'The service behind this gateway accepts no more requests now; try again later.',
  upstream_failed: 'The service behind this gateway sent no usable response; the request may have been processed.',
  upstream_timeout: 'The service behind this gateway did not respond in time; the request may have been processed.',
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
  | 'use_signed_request'
  | 'invalid_signature'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'

/** Identifies a token that this issuer issued. */
export interface TokenFacts {
  readonly jti?: unknown
  readonly client_id: unknown
  readonly grant?: string
  /** `x5t#S256` of the certificate that the token is bound to. */
  readonly bound_to?: string
  readonly token_binding?: string
  /** The certificate that presented the token, compared with the one that it is bound to (theft.ts). */
  came_with?: CameWith | undefined
}

/** Why a request is refused: the reason for the client, the exact cause for the operator, and the compared values. */
export type Why = { [R in Reason]: readonly [reason: R, detail: DetailOf<R>, facts?: RefusalFacts | undefined] }[Reason]

/** Why a token is revoked: detail and facts. */
export type WhyRevoked = readonly [detail: DetailOf<'revoked'>, facts?: RefusalFacts | undefined]

/**
 * A refusal. `code` is undefined only for `no_token`: a request without a token gets no error code (RFC 6750 §3.1).
 * `reason` is for the client; `detail` and `facts` are for the operator, in the event and the log.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: ErrorCode | undefined
  readonly reason: Reason
  readonly detail: Detail
  readonly facts: RefusalFacts
  /** The refused token; set once its signature is verified. */
  token: TokenFacts | undefined
  /** The refused token if it is no longer valid; the event names it like `token`, but it never raises an alarm. */
  endedToken: TokenFacts | undefined

  constructor(code: ErrorCode | undefined, ...[reason, detail, facts = {}]: Why) {
    super(describeForClient(reason, detail, facts) ?? reasons[reason])
    this.code = code
    this.reason = reason
    this.detail = detail
    this.facts = facts
  }
}

/** Returns the refusal of a malformed request (RFC 6749 §5.2). */
export function malformed(detail: DetailOf<'malformed_request'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'malformed_request', detail, facts)
}
