// The claims of an access token: built when one is issued, checked when one is presented (RFC 9068 §2.2, §4).
// Not the signature (http/token-keys.ts) and not to whom the token belongs (confirmation.ts).
import type { Confirmation, TokenBinding } from './confirmation.ts'
import { OAuthError } from './errors.ts'

/** All times are whole seconds since 1970. */
export interface AccessTokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  readonly scope: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
  /** The family that it belongs to, where there is one. */
  readonly grant?: string
  /** On whose behalf, after a token exchange (RFC 8693 §4.1). */
  readonly act?: { readonly sub: string }
  readonly cnf: Confirmation
}

/** A verified token. It belongs to the connection that it was verified on. */
export interface AccessToken {
  readonly claims: AccessTokenClaims
  readonly scope: readonly string[]
  readonly binding: TokenBinding
  /** The verifier whose expectations it meets. */
  readonly verifier: object
}

/** What a resource server expects of a token: exact issuer, its own name as audience. */
export interface Expectations {
  readonly issuer: string
  readonly audience: string
}

/** Seconds that a token may seem to come from the future (FAPI 2.0 §5.3.2.1); `exp` gets no tolerance. */
export const clockTolerance = 10

/** No token lives longer than a day, whatever its claims say: `exp` − `iat`, in seconds. */
export const maximumLifetime = 86_400

/**
 * Checks the claims of a token whose signature holds. `now` in seconds since 1970.
 * The confirmation claim is left to verifyConfirmation.
 * @throws OAuthError `wrong_issuer`, `wrong_audience`, `claims_malformed`, `not_yet_valid` or `expired`.
 */
export function checkClaims(claims: Readonly<Record<string, unknown>>, expected: Expectations, now: number): void {
  if (own(claims, 'iss') !== expected.issuer) refuse('wrong_issuer')
  const audiences = [own(claims, 'aud')].flat()
  if (!audiences.every(isText) || !audiences.includes(expected.audience)) refuse('wrong_audience')
  for (const name of ['sub', 'client_id', 'jti']) if (!isText(own(claims, name))) refuse('claims_malformed')
  if (!isScope(own(claims, 'scope'))) refuse('claims_malformed')
  if (Object.hasOwn(claims, 'grant') && !isText(claims.grant)) refuse('claims_malformed')

  const issuedAt = own(claims, 'iat')
  const expires = own(claims, 'exp')
  const notBefore = Object.hasOwn(claims, 'nbf') ? claims.nbf : issuedAt
  if (!isTime(issuedAt) || !isTime(expires) || !isTime(notBefore))
    throw new OAuthError('invalid_token', 'claims_malformed')
  if (expires <= issuedAt || expires - issuedAt > maximumLifetime) refuse('claims_malformed')
  if (Math.max(issuedAt, notBefore) > now + clockTolerance) refuse('not_yet_valid')
  if (expires <= now) refuse('expired')
}

/** The scope tokens of a `scope` parameter or claim; an empty string has none (RFC 6749 §3.3). */
export function readScope(scope: string): string[] {
  return scope === '' ? [] : scope.split(' ')
}

/** Whether a value is a list of scope tokens with single spaces between them, without repetition. */
export function isScope(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 1024) return false
  const tokens = readScope(value)
  return new Set(tokens).size === tokens.length && tokens.every(token => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(token))
}

export function own(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 256
}

export function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function refuse(reason: 'wrong_issuer' | 'wrong_audience' | 'claims_malformed' | 'not_yet_valid' | 'expired'): never {
  throw new OAuthError('invalid_token', reason)
}
