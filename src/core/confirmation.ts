// The idea of this project: a token says who may present it, and is good for nobody else.
// RFC 7800 §3.1 (cnf), RFC 8705 §3.1 (x5t#S256); tls_exp is that of draft-mw-oauth-tls-session-bound-tokens §2.4.
import { type KeyObject, timingSafeEqual } from 'node:crypto'
import { type BindingType, bindingTypes, proofExporterLabel } from './channel-binding.ts'
import { describeValue } from './describe-value.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import { describeKey, proofAlgorithmsOf, proofKeys } from './proof-algorithm.ts'

/**
 * The levels, weakest first: bound to the client certificate; to it, with a proof for each connection that it is used on
 * (binding-proof.ts); to it and to the very TLS connection that it was issued on.
 */
export const tokenBindings = ['certificate', 'proof', 'connection'] as const

export type TokenBinding = (typeof tokenBindings)[number]

/** The `cnf` claim: the certificate's thumbprint, then nothing, the label of a proof, or each binding of the connection. */
export type Confirmation = { readonly 'x5t#S256': string; readonly tls_exp?: typeof proofExporterLabel } & {
  readonly [type in BindingType as `${type}#S256`]?: string
}

/** The thumbprints that a `cnf` may hold. A member beyond these is a restriction that we cannot check: refused. */
const members: readonly string[] = ['x5t#S256', ...bindingTypes.map(type => `${type}#S256`)]

/**
 * Builds the `cnf` claim that binds a token to its presenter.
 * @throws OAuthError `binding_unavailable` when the connection has no channel binding to be bound to, or no proof can be signed
 * with the key of the certificate.
 */
export function confirm(presenter: Presenter, level: TokenBinding): Confirmation {
  const certificate = { 'x5t#S256': presenter.certificate.thumbprint }
  if (level === 'certificate') return certificate
  const offered = Object.entries(presenter.bindings)
  if (offered.length === 0) throw new OAuthError('invalid_request', 'binding_unavailable', 'no_channel_binding')
  if (level === 'proof') {
    requireProofKey(presenter.certificate.x509.publicKey)
    return { ...certificate, tls_exp: proofExporterLabel }
  }
  return { ...certificate, ...Object.fromEntries(offered.map(([type, value]) => [`${type}#S256`, value])) }
}

/**
 * Verifies that `cnf` confirms this presenter, and returns the level at which it does. The shape of `cnf` is its level:
 * the certificate alone, the certificate and the label of a proof, or the certificate and precisely the bindings that the
 * presenter's connection offers. `prove` is called where a proof is needed, and throws unless there is a good one.
 * @throws OAuthError `confirmation_malformed`, `certificate_mismatch`, `connection_mismatch`, `proof_missing`.
 */
export function verifyConfirmation(cnf: unknown, presenter: Presenter, prove: () => void = noProof): TokenBinding {
  const confirmed = readConfirmation(cnf)
  if (!same(confirmed['x5t#S256'], presenter.certificate.thumbprint))
    throw new OAuthError('invalid_token', 'certificate_mismatch', 'other_certificate')
  if (confirmed.tls_exp !== undefined) {
    prove()
    return 'proof'
  }
  if (bindingTypes.every(type => confirmed[`${type}#S256`] === undefined)) return 'certificate'
  // Each type is compared, whatever the others gave: absent with absent, value with value.
  const matches = bindingTypes.filter(type => same(confirmed[`${type}#S256`], presenter.bindings[type]))
  if (matches.length !== bindingTypes.length)
    throw new OAuthError('invalid_token', 'connection_mismatch', 'other_connection')
  return 'connection'
}

/** Whether a token of level `level` is good enough where `demanded` is asked for. */
export function isAtLeast(level: TokenBinding, demanded: TokenBinding): boolean {
  return tokenBindings.indexOf(level) >= tokenBindings.indexOf(demanded)
}

function requireProofKey(key: KeyObject): void {
  if (proofAlgorithmsOf(key).length > 0) return
  const facts = { found: describeKey(key), expected: proofKeys }
  throw new OAuthError('invalid_request', 'binding_unavailable', 'no_proof_algorithm', facts)
}

function readConfirmation(cnf: unknown): Confirmation {
  if (cnf === undefined) refuse('cnf_missing')
  if (typeof cnf !== 'object' || cnf === null || !Object.hasOwn(cnf, 'x5t#S256'))
    return refuse('cnf_malformed', { found: describeValue(cnf) })
  const wrong = Object.entries(cnf).find(([member, value], _, { length }) =>
    member === 'tls_exp'
      ? value !== proofExporterLabel || length !== 2
      : !members.includes(member) || !isThumbprint(value),
  )
  if (wrong !== undefined) refuse('cnf_member', { member: wrong[0], found: describeValue(wrong[1]) })
  return cnf as Confirmation
}

function refuse(detail: DetailOf<'confirmation_malformed'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_token', 'confirmation_malformed', detail, facts)
}

function noProof(): never {
  throw new OAuthError('use_session_binding', 'proof_missing', 'header_missing')
}

/** 32 octets in base64url: 43 characters, of which the last carries four bits and so is one of sixteen. */
function isThumbprint(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(value)
}

function same(one: string | undefined, other: string | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}
