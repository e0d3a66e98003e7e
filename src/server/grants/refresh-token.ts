// grant_type refresh_token (RFC 6749 §6). The token is bound to the certificate, so a new connection can refresh. The
// policy is evaluated again each time. Use is one atomic step, and a second use revokes the grant (RFC 9700 §4.14).
import { randomBytes } from 'node:crypto'
import { parseScope } from '../../core/access-token.ts'
import { confirm } from '../../core/confirmation.ts'
import { OAuthError, type Why } from '../../core/errors.ts'
import { buildOpaqueToken, hashOpaqueToken, isOpaqueToken } from '../../core/opaque-token.ts'
import { authorize, isSameTarget, withoutQuery } from '../../core/policy.ts'
import { refreshReasons } from '../../core/refresh-token.ts'
import type { Grant as Stored } from '../../store/store.ts'
import { requireParameter } from '../bodies.ts'
import type { GrantRequest } from './grant.ts'
import { issueAccessToken, type TokenAnswer } from './issue.ts'

export async function refreshToken({ request, form, by, parts, arrived }: GrantRequest): Promise<TokenAnswer> {
  const { client, presenter } = by
  const { store, audit } = parts
  const presented = requireParameter(form, 'refresh_token')
  const hash = hashOpaqueToken(presented)
  // The checksum rejects random text before a store lookup.
  if (isOpaqueToken(presented) !== 'rt')
    throw new OAuthError('invalid_grant', 'refresh_unknown', 'form', {
      found: describe(presented),
      expected: 'tlsbound_rt_ and 49 letters or digits',
    })
  const known = await store.findRefreshToken(hash)
  if (known === undefined) throw new OAuthError('invalid_grant', 'refresh_unknown', 'not_stored')
  const { grant, state } = known
  const isAlive = state !== 'revoked' && grant.expires > by.at
  if (grant.clientId !== client.id) throw refuse(['refresh_unknown', 'other_client'], grant, isAlive)
  if (grant.certificate !== presenter.certificate.thumbprint)
    throw refuse(['refresh_certificate_mismatch', 'other_certificate'], grant, isAlive)

  const { scope = grant.scope, token_binding: binding = grant.binding, resource = grant.audience } = form
  const granted = parseScope(grant.scope)
  if (!parseScope(scope).every(token => granted.includes(token)))
    throw new OAuthError('invalid_scope', 'scope_denied', 'wider_than_granted', { found: scope, expected: grant.scope })
  if (!isSameTarget(resource, grant.audience))
    // never wider than granted
    throw new OAuthError('invalid_target', 'target_unknown', 'other_than_granted', {
      found: withoutQuery(resource),
      expected: grant.audience,
    })
  const authorization = authorize(client, { scope, binding, resource: grant.audience }, parts.targets)
  const cnf = confirm(presenter, authorization.binding) // before any change, since it can throw

  const successor = buildOpaqueToken('rt', randomBytes(32))
  const used = await store.rotateRefreshToken(hash, hashOpaqueToken(successor), arrived.time, arrived.monotonic)
  const { outcome } = used
  if (outcome === 'reused') {
    const detail = used.answerLost === true ? 'answer_lost' : 'reused'
    audit.refreshReused(request, grant, detail)
    throw refuse(['refresh_reused', detail, describeReuse(used, 'yes')], grant, false)
  }
  if (outcome === 'raced') throw refuse([...refreshReasons.raced, describeReuse(used, 'no')], grant, true)
  if (outcome === 'expired') {
    const { expires, created } = grant
    throw refuse([...refreshReasons.expired, { found: expires, limit: expires - created, now: by.at }], grant, false)
  }
  if (outcome === 'revoked') throw refuse(refreshReasons.revoked, grant, false)
  if (outcome === 'unknown') throw new OAuthError('invalid_grant', ...refreshReasons.unknown)
  audit.refreshRotated(request, grant, outcome)
  const { subject, id, actor } = grant
  const issuance = {
    grantType: 'refresh_token',
    authorization,
    cnf,
    subject,
    grant: id,
    act: readActor(actor),
  } as const
  const answer = await issueAccessToken(request, by, issuance, parts)
  return { ...answer, refresh_token: outcome === 'static' ? presented : successor }
}

/** Builds a refusal whose event names the grant. Only a grant that is still valid can raise an alarm. */
function refuse(why: Why, { id, clientId, certificate }: Stored, isAlive: boolean): OAuthError {
  const refusal = new OAuthError('invalid_grant', ...why)
  refusal[isAlive ? 'token' : 'endedToken'] = { client_id: clientId, grant: id, bound_to: certificate }
  return refusal
}

function describeReuse({ sinceFirstUse: since }: { readonly sinceFirstUse?: number }, revoked: 'yes' | 'no') {
  return { first_use: since === undefined ? undefined : Math.round(since / 1000), grant_revoked: revoked }
}

/** Describes a text in place of a refresh token without quoting it. */
function describe(text: string): string {
  if (isOpaqueToken(text) === 'at') return 'an access token'
  return text.split('.').length === 3 ? 'a JWT' : `${text.length} characters`
}

function readActor(actor: string | undefined): { sub: string } | undefined {
  return actor === undefined ? undefined : JSON.parse(actor)
}
