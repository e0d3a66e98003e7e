// The core of this project: a token names its presenter, and no other party can use it.
// RFC 7800 §3.1 (cnf), RFC 8705 §3.1 (x5t#S256); tls_exp is that of draft-mw-oauth-tls-session-bound-tokens §2.4.
import { type KeyObject, timingSafeEqual } from 'node:crypto'
import { type BindingType, bindingTypes, proofExporterLabel } from './channel-binding.ts'
import { describeValue } from './describe-value.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import { describeKey, proofAlgorithmsOf, proofKeys } from './proof-algorithm.ts'

/**
 * The levels, weakest first. `certificate`: bound to the client certificate. `proof`: additionally requires a proof on each
 * connection (binding-proof.ts). `connection`: bound to the certificate and to the TLS connection that the token was issued on.
 */
export const tokenBindings = ['certificate', 'proof', 'connection'] as const

export type TokenBinding = (typeof tokenBindings)[number]

/** The `cnf` claim: the thumbprint of the certificate; at level proof the exporter label; at level connection each binding. */
export type Confirmation = { readonly 'x5t#S256': string; readonly tls_exp?: typeof proofExporterLabel } & {
  readonly [type in BindingType as `${type}#S256`]?: string
}

/** The header that carries a proof (binding-proof draft §3.3). */
export const proofHeader = 'Session-Binding-Proof'

/** The thumbprints that `cnf` may contain. Other members are rejected, because they could be restrictions that are not checked. */
const members: readonly string[] = ['x5t#S256', ...bindingTypes.map(type => `${type}#S256`)]

/**
 * Builds the `cnf` claim that binds a token to its presenter.
 * @throws OAuthError `binding_unavailable` if the connection has no channel binding, or the key type of the certificate cannot
 * sign proofs.
 */
export function confirm(presenter: Presenter, level: TokenBinding): Confirmation {
  const certificate = { 'x5t#S256': presenter.certificate.thumbprint }
  if (level === 'certificate') return certificate
  if (presenter.attested !== undefined)
    throw new OAuthError('invalid_request', 'binding_unavailable', 'attested', { token_binding: level })
  const offered = Object.entries(presenter.bindings)
  if (offered.length === 0)
    throw new OAuthError('invalid_request', 'binding_unavailable', 'no_channel_binding', { token_binding: level })
  if (level === 'proof') {
    requireProofKey(presenter.certificate.x509.publicKey)
    return { ...certificate, tls_exp: proofExporterLabel }
  }
  return { ...certificate, ...Object.fromEntries(offered.map(([type, value]) => [`${type}#S256`, value])) }
}

/**
 * Verifies that `cnf` confirms this presenter, and returns the level of the binding. The members of `cnf` determine the level:
 * only the certificate, the certificate and the label of a proof, or the certificate and exactly the bindings of the connection.
 * Behind a proxy that ends TLS, only the first is verified.
 * `prove` is called if a proof is required, and throws unless it is valid.
 * @throws OAuthError `confirmation_malformed`, `certificate_mismatch`, `connection_mismatch`, `proof_missing`.
 */
export function verifyConfirmation(cnf: unknown, presenter: Presenter, prove: () => void = noProof): TokenBinding {
  const confirmed = readConfirmation(cnf)
  if (!same(confirmed['x5t#S256'], presenter.certificate.thumbprint))
    throw new OAuthError('invalid_token', 'certificate_mismatch', 'other_certificate')
  if (Object.keys(confirmed).length === 1) return 'certificate'
  requireOwnConnection(presenter)
  if (confirmed.tls_exp !== undefined) {
    prove()
    return 'proof'
  }
  // Compares every type, without an early exit: absent with absent, value with value.
  const matches = bindingTypes.filter(type => same(confirmed[`${type}#S256`], presenter.bindings[type]))
  if (matches.length !== bindingTypes.length)
    throw new OAuthError('invalid_token', 'connection_mismatch', 'other_connection')
  return 'connection'
}

/** @throws OAuthError `connection_mismatch` if the connection is that of a proxy, for which no binding or proof is made. */
export function requireOwnConnection({ attested }: Presenter): void {
  if (attested !== undefined) throw new OAuthError('invalid_token', 'connection_mismatch', 'attested')
}

/** Returns whether `level` is at least as strong as `demanded`. */
export function isAtLeast(level: TokenBinding, demanded: TokenBinding): boolean {
  return tokenBindings.indexOf(level) >= tokenBindings.indexOf(demanded)
}

function requireProofKey(key: KeyObject): void {
  if (proofAlgorithmsOf(key).length > 0) return
  const facts = { token_binding: 'proof', found: describeKey(key), expected: proofKeys }
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
  throw new OAuthError('use_session_binding', 'proof_missing', 'header_missing', { header: proofHeader })
}

/** 32 octets in base64url: 43 characters. The last one has four bits, so only 16 characters are possible. */
function isThumbprint(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(value)
}

function same(one: string | undefined, other: string | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}
