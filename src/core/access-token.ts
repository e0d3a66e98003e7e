// The claims of an access token: built when one is issued, checked when one is presented (RFC 9068 §2.2, §4).
// Not the signature (keys/token-keys.ts) and not to whom the token belongs (confirmation.ts).

import { bindingTypes } from './channel-binding.ts'
import { type Confirmation, type TokenBinding, verifyConfirmation } from './confirmation.ts'
import { describeValue } from './describe-value.ts'
import { OAuthError, type Why } from './errors.ts'
import type { Presenter } from './presenter.ts'

/** Times are seconds since 1970: whole in tokens of this server, while another issuer may write a fraction (RFC 7519 §2). */
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
  /** The number of the latest revocation by client, certificate or of all that it was issued after, soon after that. */
  readonly issued_after?: number
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

/** What a resource server expects of a token. */
export interface Expectations {
  /** `iss`, to the letter. */
  readonly issuer: string
  /** Its own name, or its names: one of them must be in `aud`. */
  readonly audience: string | readonly string[]
  /** Seconds that a token may live. Default: a day. */
  readonly maximumLifetime?: number | undefined
}

/** Seconds that a token may seem to come from the future (FAPI 2.0 §5.3.2.1); `exp` gets no tolerance. */
export const clockTolerance = 10

/** By default no token lives longer than a day, whatever its claims say: `exp` − `iat`, in seconds. */
export const maximumLifetime = 86_400

/**
 * Checks the claims of a token whose signature holds. `now` in seconds since 1970, with its fraction where tokens may have one.
 * The confirmation claim is left to verifyConfirmation.
 * @throws OAuthError `wrong_issuer`, `wrong_audience`, `claims_malformed`, `not_yet_valid` or `expired`.
 */
export function checkClaims(claims: Readonly<Record<string, unknown>>, expected: Expectations, now: number): void {
  const issuer = own(claims, 'iss')
  if (issuer !== expected.issuer)
    refuse('wrong_issuer', 'iss', { found: describeValue(issuer), expected: expected.issuer })
  const audiences = [own(claims, 'aud')].flat()
  const accepted = [expected.audience].flat()
  if (!audiences.every(isText) || !accepted.some(audience => audiences.includes(audience)))
    refuse('wrong_audience', 'aud', { found: describeValue(own(claims, 'aud')), expected: accepted.join(' ') })
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
  if (begins > now + clockTolerance) refuse('not_yet_valid', 'in_the_future', { found: begins, time: now })
  if (expires <= now) refuse('expired', 'ended', { found: expires, time: now })
}

/** The scope tokens of a `scope` parameter or claim; an empty string has none (RFC 6749 §3.3). */
export function parseScope(scope: string): string[] {
  return scope === '' ? [] : scope.split(' ')
}

/** Whether a value is a list of scope tokens with single spaces between them, without repetition. */
export function isScope(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 1024) return false
  const tokens = parseScope(value)
  return new Set(tokens).size === tokens.length && tokens.every(token => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(token))
}

export function own(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 256
}

/** Whether a value is a NumericDate (RFC 7519 §2): a fraction is allowed; no negative, no infinite, no imprecise number is. */
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
 * Returns the level of a token by the shape of its `cnf`; undefined when this server issues no such shape. It asks
 * verifyConfirmation, with the presenter that `cnf` names, so that one function alone decides on shapes.
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
