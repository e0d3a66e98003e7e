// The claims of an access token, and their verification when the token is presented (RFC 9068 §2.2, §4).
// keys/token-keys.ts verifies the signature; confirmation.ts verifies the binding to the presenter.

import { bindingTypes } from './channel-binding.ts'
import { type Confirmation, type TokenBinding, verifyConfirmation } from './confirmation.ts'
import { describeValue } from './describe-value.ts'
import { OAuthError, type Why } from './errors.ts'
import type { Presenter } from './presenter.ts'

/** Times are seconds since 1970. This server writes integers; another issuer may write fractions (RFC 7519 §2). */
export interface AccessTokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  readonly scope: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
  /** The grant that the token belongs to, if any. */
  readonly grant?: string
  /** The actor, after a token exchange (RFC 8693 §4.1). */
  readonly act?: { readonly sub: string }
  /** Only in tokens issued shortly after a revocation of kind client, certificate or all: the sequence number of that revocation. */
  readonly issued_after?: number
  /** Present if the token was requested through a proxy that ended TLS: the certificate is the one that the proxy stated. */
  readonly attested?: 'proxy'
  readonly cnf: Confirmation
}

/** A verified token. Valid only on the connection that it was verified on. */
export interface AccessToken {
  readonly claims: AccessTokenClaims
  readonly scope: readonly string[]
  readonly binding: TokenBinding
  /** Present if the request arrived through a proxy that ended TLS: the proxy stated the certificate of the client. */
  readonly attested?: 'proxy' | undefined
  /** The verifier that accepted the token. */
  readonly verifier: object
}

/** The values that a resource server requires in a token. */
export interface Expectations {
  /** The exact `iss`. */
  readonly issuer: string
  /** The identifiers of the resource server; `aud` must contain one of them. */
  readonly audience: string | readonly string[]
  /** The longest accepted lifetime of a token, in seconds. Default: one day. */
  readonly maximumLifetime?: number | undefined
}

/** Seconds by which `iat` and `nbf` may be in the future (FAPI 2.0 §5.3.2.1). `exp` has no tolerance. */
export const clockTolerance = 10

/** The default limit of the lifetime (`exp` − `iat`), in seconds: one day. */
export const maximumLifetime = 86_400

/**
 * Verifies the claims of a token whose signature is already verified. `now` is in seconds since 1970; it includes the fraction if
 * tokens may have fractions. `cnf` is verified by verifyConfirmation.
 * @throws OAuthError `wrong_issuer`, `wrong_audience`, `claims_malformed`, `not_yet_valid` or `expired`.
 */
export function checkClaims(claims: Readonly<Record<string, unknown>>, expected: Expectations, now: number): void {
  const issuer = own(claims, 'iss')
  if (issuer !== expected.issuer)
    refuse('wrong_issuer', 'iss', { found: describeValue(issuer), expected: expected.issuer })
  const audiences = [own(claims, 'aud')].flat()
  const accepted = [expected.audience].flat()
  if (!audiences.every(isText) || !accepted.some(audience => audiences.includes(audience)))
    refuse('wrong_audience', 'aud', { found: describeAudience(own(claims, 'aud')), expected: accepted.join(' ') })
  for (const name of ['sub', 'client_id', 'jti']) if (!isText(own(claims, name))) throw refusedClaim(claims, name)
  if (!isScope(own(claims, 'scope'))) throw refusedClaim(claims, 'scope')
  if (Object.hasOwn(claims, 'grant') && !isText(claims.grant)) throw refusedClaim(claims, 'grant')

  const issuedAt = own(claims, 'iat')
  const expires = own(claims, 'exp')
  const notBefore = Object.hasOwn(claims, 'nbf') ? claims.nbf : issuedAt
  if (!isTime(issuedAt) || !isTime(expires) || !isTime(notBefore))
    throw refusedClaim(claims, !isTime(issuedAt) ? 'iat' : !isTime(expires) ? 'exp' : 'nbf')
  const longest = expected.maximumLifetime ?? maximumLifetime
  if (expires <= issuedAt || expires - issuedAt > longest)
    refuse('claims_malformed', 'lifetime', { found: expires - issuedAt, limit: longest })
  const begins = Math.max(issuedAt, notBefore)
  if (begins > now + clockTolerance) refuse('not_yet_valid', 'in_the_future', { found: begins, now })
  if (expires <= now) refuse('expired', 'ended', { found: expires, now })
}

/** Returns the scope tokens of a `scope` parameter or claim (RFC 6749 §3.3). The empty string has none. */
export function parseScope(scope: string): string[] {
  return scope === '' ? [] : scope.split(' ')
}

/** Returns whether a value is a list of unique scope tokens separated by single spaces. */
export function isScope(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 1024) return false
  const tokens = parseScope(value)
  const isUnique = tokens.length < 2 || new Set(tokens).size === tokens.length
  return isUnique && tokens.every(token => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(token))
}

/** Returns an own property, never an inherited one. */
export function own(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** Describes an `aud` in a fact. */
export function describeAudience(aud: unknown): string {
  return (aud ?? undefined) === undefined ? 'no aud' : describeValue(aud)
}

/** Returns whether a value is a string of 1 to 256 characters. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 256
}

/** Returns whether a value is a NumericDate (RFC 7519 §2): not negative, at most the largest safe integer, fractions allowed. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function refusedClaim(claims: Readonly<Record<string, unknown>>, claim: string): OAuthError {
  const found = describeValue(own(claims, claim))
  return new OAuthError('invalid_token', 'claims_malformed', 'claim', { claim, found })
}

function refuse(...why: Why): never {
  throw new OAuthError('invalid_token', ...why)
}

/**
 * Returns the binding level of a token by the members of its `cnf`, or undefined if this server issues no such `cnf`. Calls
 * verifyConfirmation with the presenter in `cnf`, so that only one function decides which members are valid.
 */
export function levelOf(cnf: unknown): TokenBinding | undefined {
  const named = (typeof cnf === 'object' ? cnf : null) as Readonly<Record<string, string>> | null
  const bindings = Object.fromEntries(bindingTypes.map(type => [type, named?.[`${type}#S256`]]))
  try {
    return verifyConfirmation(
      cnf,
      { certificate: { thumbprint: named?.['x5t#S256'] }, bindings } as Presenter,
      () => {},
    )
  } catch {
    return undefined
  }
}
