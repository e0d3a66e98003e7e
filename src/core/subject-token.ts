// Verifies the claims of a subject token: its subject, and the limits of the token to issue (RFC 8693 §2.1). The signature is
// verified elsewhere. A token with a restriction that cannot be checked is rejected.
import {
  type AccessTokenClaims,
  clockTolerance,
  describeAudience,
  isScope,
  isText,
  isTime,
  own,
  parseScope,
} from './access-token.ts'
import { type TokenBinding, verifyConfirmation } from './confirmation.ts'
import { describeValue } from './describe-value.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

/** The subject of an exchange, and the limits of the issued token. */
export interface Subject {
  readonly sub: string
  /** The maximum scope of the new token; undefined if the subject token has no scope. */
  readonly scope: readonly string[] | undefined
  /** Seconds since 1970; the latest expiry of access tokens from the exchange. */
  readonly expires: number
  /** The actor (RFC 8693 §4.1); undefined if the subject itself acts. */
  readonly act: AccessTokenClaims['act']
  /** Only for a token of this server: its audience, its level, and its grant. */
  readonly audience?: string | undefined
  readonly binding?: TokenBinding | undefined
  readonly grant?: string | undefined
}

type Claims = Readonly<Record<string, unknown>>

/** Claims about an event or another actor. A token with such a claim does not allow this client to act for the subject. */
const foreign = ['events', 'act']

/**
 * Claims in which issuers write what a token is good for (RFC 8693 §4.2, RFC 9068 §2.2.3.1, RFC 9396 §9.1). `groups` is none:
 * it describes the user.
 */
const boundClaims = [
  'scope',
  'scp',
  'scopes',
  'roles',
  'permissions',
  'entitlements',
  'authorities',
  'authorization_details',
]

/**
 * Verifies the claims of a token from an external issuer, presented by the client `clientId` at `now`, in seconds since 1970. The
 * signature must already be verified. `typ` is that of its header.
 * @throws OAuthError `subject_token_invalid`, with the first invalid claim.
 */
export function verifyOutsideSubject(
  claims: Claims,
  rules: TrustedIssuer,
  { clientId, presenter, typ, now }: { clientId: string; presenter: Presenter; typ?: string | undefined; now: number },
): Subject {
  const issuer = own(claims, 'iss')
  if (issuer !== rules.issuer) throw refusedClaim(claims, 'iss', rules.issuer)
  const sub = own(claims, 'sub')
  const subject = `${rules.subjectPrefix}${describeValue(sub)}`
  if (!isText(sub) || !isText(subject)) throw refusedClaim(claims, 'sub')
  const audiences = [own(claims, 'aud')].flat()
  if (!audiences.every(isText) || !audiences.includes(rules.audience))
    throw refusal('audience', { found: describeAudience(own(claims, 'aud')), expected: rules.audience })
  const expires = readTimes(claims, rules, now)
  for (const claim of foreign)
    if (Object.hasOwn(claims, claim)) throw refusal('foreign_claim', { claim, typ: describeValue(typ) })
  const mayAct = own(claims, 'may_act')
  if (mayAct !== undefined && !namesOnly(clientId, mayAct))
    throw refusal('may_act', { found: describeActor(mayAct), expected: clientId })
  if (Object.hasOwn(claims, 'cnf')) verifyOutsideConfirmation(claims.cnf, presenter)
  const scope = findScope(claims, rules.scopeClaims)
  return { sub: subject, scope, expires, act: { sub: clientId } }
}

/**
 * Verifies the times, and returns the expiry rounded down, because tokens of this server have no fractions.
 * @throws OAuthError `subject_token_invalid`
 */
function readTimes(claims: Claims, rules: TrustedIssuer, now: number): number {
  const issued = own(claims, 'iat')
  const exp = own(claims, 'exp')
  const notBefore = Object.hasOwn(claims, 'nbf') ? claims.nbf : issued
  if (!isTime(issued)) throw refusedClaim(claims, 'iat')
  if (!isTime(exp)) throw refusedClaim(claims, 'exp')
  if (!isTime(notBefore)) throw refusedClaim(claims, 'nbf')
  if (exp <= issued) throw refusal('claim', { claim: 'exp', found: exp, expected: `after iat ${issued}` })
  const expires = Math.floor(exp)
  if (expires <= now) throw refusal('ended', { found: exp, now })
  const begins = Math.max(issued, notBefore)
  if (begins > now + clockTolerance) throw refusal('in_the_future', { found: begins, now })
  if (now - issued > rules.maximumAge) throw refusal('too_old', { found: issued, limit: rules.maximumAge, now })
  return expires
}

/**
 * Returns the requested scope if both the subject token and the registration allow it. Default: everything that both allow.
 * @throws OAuthError `scope_denied` if the request exceeds this, or if the scopes have nothing in common.
 */
export function narrowScope(
  requested: string | undefined,
  ofSubject: readonly string[] | undefined,
  ofClient: ReadonlySet<string>,
): string {
  const allowed = ofSubject === undefined ? [...ofClient] : ofSubject.filter(token => ofClient.has(token))
  const nothingLeft = allowed.length === 0 && ofSubject !== undefined && ofSubject.length > 0
  const widened =
    requested !== undefined && !(isScope(requested) && parseScope(requested).every(token => allowed.includes(token)))
  if (nothingLeft)
    throw new OAuthError('invalid_scope', 'scope_denied', 'nothing_left', {
      found: ofSubject.join(' '),
      expected: [...ofClient].join(' '),
    })
  if (widened)
    throw new OAuthError('invalid_scope', 'scope_denied', 'wider_than_granted', {
      found: requested,
      expected: allowed.join(' '),
    })
  return requested ?? allowed.join(' ')
}

/** RFC 8693 §4.4: `may_act` must contain only this client. */
function namesOnly(clientId: string, mayAct: unknown): boolean {
  const members = typeof mayAct === 'object' && mayAct !== null ? Object.entries(mayAct) : []
  return members.length === 1 && members[0]?.[0] === 'sub' && members[0][1] === clientId
}

/** Describes an actor by its `sub`, otherwise by its value. */
function describeActor(actor: unknown): string {
  return describeValue((actor as { sub?: unknown } | null)?.sub ?? actor)
}

/** Accepts only level certificate: an external issuer cannot know the connection of the presenter. */
function verifyOutsideConfirmation(cnf: unknown, presenter: Presenter): void {
  let level: TokenBinding | undefined
  let refused: RefusalFacts | undefined
  try {
    level = verifyConfirmation(cnf, presenter)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    refused = { reason: error.reason, detail: error.detail, ...error.facts }
    if (error.reason === 'certificate_mismatch')
      refused = { ...refused, found: describeValue((cnf as Record<string, unknown>)['x5t#S256']) }
  }
  if (level !== 'certificate')
    throw refusal('confirmation', { found: level, ...refused, expected: presenter.certificate.thumbprint })
}

/**
 * Returns the scope of the first claim that the rules name and the token has; undefined: the token is not bounded.
 * @throws OAuthError `subject_token_invalid` when only another claim bounds it: without that the exchange would widen it.
 */
function findScope(claims: Claims, names: readonly string[]): string[] | undefined {
  const name = names.find(one => Object.hasOwn(claims, one))
  if (name !== undefined) return readScopeClaim(claims, name)
  const claim = boundClaims.find(other => Object.hasOwn(claims, other))
  if (claim !== undefined) throw refusal('scope_elsewhere', { claim, expected: names.join(' ') })
  return undefined
}

/** Parses a scope claim: a string (RFC 8693 §4.2), or an array, as some issuers write it. */
function readScopeClaim(claims: Claims, name: string): string[] {
  const claim = claims[name]
  const list = Array.isArray(claim) ? claim : isScope(claim) ? parseScope(claim) : [undefined]
  if (!list.every(isText) || !isScope(list.join(' ')) || parseScope(list.join(' ')).length !== list.length)
    throw refusedClaim(claims, name)
  return list
}

function refusedClaim(claims: Claims, claim: string, expected?: string): OAuthError {
  return refusal('claim', { claim, found: describeValue(own(claims, claim)), expected })
}

function refusal(detail: DetailOf<'subject_token_invalid'>, facts: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'subject_token_invalid', detail, facts)
}
