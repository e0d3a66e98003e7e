// The claims of a subject token → on whose behalf a token of ours may be issued, and within which bounds (RFC 8693 §2.1).
// Its signature is verified elsewhere. Whatever would restrict it in a way that cannot be checked here refuses it.
import { type AccessTokenClaims, clockTolerance, isScope, isText, isTime, own, readScope } from './access-token.ts'
import { type TokenBinding, verifyConfirmation } from './confirmation.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

/** What an exchange goes on with. */
export interface Subject {
  readonly sub: string
  /** What the new token may not go beyond; undefined: the subject token says nothing of scope. */
  readonly scope: readonly string[] | undefined
  /** Seconds since 1970; no access token of the exchange outlives it. */
  readonly expires: number
  /** Who acts for the subject (RFC 8693 §4.1); undefined: the subject itself does. */
  readonly act: AccessTokenClaims['act']
  /** Only of a token of ours: what it was for, its level, and the grant that it belongs to and that ends it. */
  readonly audience?: string | undefined
  readonly binding?: TokenBinding | undefined
  readonly grant?: string | undefined
}

type Claims = Readonly<Record<string, unknown>>

/** Claims that speak of an event or of other actors, not of a subject who may be acted for by this client. */
const foreign = ['events', 'act']

/**
 * Reads a token of an outside issuer, whose signature holds, as presented by the client `clientId` at `now`, in seconds.
 * @throws OAuthError `subject_token_invalid`
 */
export function readOutsideSubject(
  claims: Claims,
  rules: TrustedIssuer,
  { clientId, presenter, now }: { clientId: string; presenter: Presenter; now: number },
): Subject {
  const sub = own(claims, 'sub')
  const subject = `${rules.subjectPrefix}${sub}`
  const audiences = [own(claims, 'aud')].flat()
  const issued = own(claims, 'iat')
  const expires = own(claims, 'exp')
  const notBefore = Object.hasOwn(claims, 'nbf') ? claims.nbf : issued
  const good =
    own(claims, 'iss') === rules.issuer &&
    audiences.every(isText) &&
    audiences.includes(rules.audience) &&
    isText(sub) &&
    isText(subject) &&
    isTime(issued) &&
    isTime(expires) &&
    isTime(notBefore) &&
    expires > Math.max(issued, now) &&
    Math.max(issued, notBefore) <= now + clockTolerance &&
    now - issued <= rules.maximumAge &&
    !foreign.some(name => Object.hasOwn(claims, name)) &&
    mayAct(own(claims, 'may_act'), clientId) &&
    (!Object.hasOwn(claims, 'cnf') || isBoundTo(presenter, claims.cnf))
  if (!good) throw new OAuthError('invalid_request', 'subject_token_invalid', 'claim')
  const scope = Object.hasOwn(claims, rules.scopeClaim) ? readScopeClaim(claims[rules.scopeClaim]) : undefined
  return { sub: subject, scope, expires, act: { sub: clientId } }
}

/**
 * What a subject token and a registration allow together. Asked for nothing, all of that.
 * @throws OAuthError `scope_denied` for more, or when nothing is left of a scope that there was.
 */
export function narrowScope(
  wish: string | undefined,
  ofSubject: readonly string[] | undefined,
  ofClient: ReadonlySet<string>,
): string {
  const allowed = ofSubject === undefined ? [...ofClient] : ofSubject.filter(token => ofClient.has(token))
  const nothingLeft = allowed.length === 0 && ofSubject !== undefined && ofSubject.length > 0
  const widened = wish !== undefined && !(isScope(wish) && readScope(wish).every(token => allowed.includes(token)))
  if (nothingLeft) throw new OAuthError('invalid_scope', 'scope_denied', 'nothing_left')
  if (widened) throw new OAuthError('invalid_scope', 'scope_denied', 'wider_than_granted', { found: wish })
  return wish ?? allowed.join(' ')
}

/** RFC 8693 §4.4: where a token names who may act, that must be this client and say nothing else. */
function mayAct(claim: unknown, clientId: string): boolean {
  return claim === undefined || JSON.stringify(claim) === JSON.stringify({ sub: clientId })
}

/** An outside issuer can know our presenter's certificate, never our connection. */
function isBoundTo(presenter: Presenter, cnf: unknown): boolean {
  try {
    return verifyConfirmation(cnf, presenter) === 'certificate'
  } catch {
    return false
  }
}

/** One text (RFC 8693 §4.2), or a list, as some issuers write it. */
function readScopeClaim(claim: unknown): string[] {
  const list = Array.isArray(claim) ? claim : isScope(claim) ? readScope(claim) : [undefined]
  if (!list.every(isText) || !isScope(list.join(' ')) || readScope(list.join(' ')).length !== list.length)
    throw new OAuthError('invalid_request', 'subject_token_invalid', 'claim', { claim: 'scope' })
  return list
}
