// grant_type refresh_token (RFC 6749 §6). The token is bound to the certificate or the client, so a new connection can refresh
// (RFC 8705 §7.1). The policy is evaluated again each time. Use is one atomic step; a retry gets the same successor again, with an
// access token for its own connection.
import { parseScope } from '../../core/access-token.ts'
import { confirm } from '../../core/confirmation.ts'
import { OAuthError, type Why } from '../../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../../core/opaque-token.ts'
import { isPaseto } from '../../core/paseto.ts'
import { authorize, isSameTarget, withoutQuery } from '../../core/policy.ts'
import { refreshReasons } from '../../core/refresh-token.ts'
import { createSuccessor, openSuccessor } from '../../core/sealed-successor.ts'
import { reuseRevokesGrant } from '../../core/theft.ts'
import type { Grant as Stored } from '../../store/store.ts'
import { requireParameter } from '../bodies.ts'
import type { GrantRequest } from './grant.ts'
import { issueAccessToken, type TokenAnswer } from './issue.ts'

export async function refreshToken({ request, form, by, parts, arrived }: GrantRequest): Promise<TokenAnswer> {
  const { client, presenter } = by
  const presented = requireParameter(form, 'refresh_token')
  // The checksum rejects random text before a store lookup.
  if (isOpaqueToken(presented) !== 'rt')
    throw new OAuthError('invalid_grant', 'refresh_unknown', 'form', {
      found: describe(presented),
      expected: 'a prefix, and 49 letters or digits',
    })
  const known = await parts.store.findRefreshToken(hashOpaqueToken(presented))
  if (known === undefined) throw new OAuthError('invalid_grant', 'refresh_unknown', 'not_stored')
  const { grant, state } = known
  const isAlive = state !== 'revoked' && grant.expires > by.at
  if (grant.clientId !== client.id) throw refuse(['refresh_unknown', 'other_client'], grant, isAlive)
  const isBoundToCertificate = client.refreshTokenBinding === 'certificate' // else to the client, which is authenticated
  if (isBoundToCertificate && grant.certificate !== presenter.certificate.thumbprint)
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

  const token = await rotate(presented, grant, { request, by, parts, arrived })
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
  return { ...answer, refresh_token: token }
}

/** Uses a refresh token, and returns the next one. @throws OAuthError (rejects) `invalid_grant`. */
async function rotate(
  presented: string,
  grant: Stored,
  { request, by, parts, arrived }: Omit<GrantRequest, 'form'>,
): Promise<string> {
  const { at, issuedAfter, client, presenter } = by
  const { store, audit } = parts
  const { successor, sealed } = createSuccessor(presented)
  const revokesReused = reuseRevokesGrant(client.theftResponse)
  const bindTo = { certificate: presenter.certificate.thumbprint, at, issuedAfter }
  const used = await store.rotateRefreshToken(
    hashOpaqueToken(presented),
    { hash: hashOpaqueToken(successor), sealed },
    arrived.time,
    { arrived: arrived.monotonic, revokesReused, ...(client.refreshTokenBinding === 'client' && { bindTo }) },
  )
  if (used.outcome === 'unknown') throw new OAuthError('invalid_grant', ...refreshReasons.unknown)
  if (used.outcome === 'revoked') throw refuse(refreshReasons.revoked, grant, false)
  if (used.outcome === 'expired') {
    const { expires, created } = grant
    throw refuse([...refreshReasons.expired, { found: expires, limit: expires - created, now: at }], grant, false)
  }
  if (used.outcome === 'reused') {
    const { detail, sinceFirstUse } = used
    audit.refreshReused(request, used.grant, detail, revokesReused)
    const first_use = Math.round(sinceFirstUse / 1000)
    const facts = { first_use, grant_revoked: revokesReused ? 'yes' : 'no' }
    throw refuse(['refresh_reused', detail, facts], used.grant, false)
  }
  const stored = used.outcome === 'retried' ? openSuccessor(used.sealed, presented) : undefined
  // The store was altered. That is no sign of theft: the client is the one that the token is bound to.
  if (used.outcome === 'retried' && stored === undefined)
    throw refuse(['refresh_reused', 'answer_lost', { grant_revoked: 'no' }], used.grant, false)
  if (used.boundBefore !== undefined) audit.refreshRebound(request, used.grant, used.boundBefore)
  audit.refreshRotated(request, used.grant, used.outcome)
  return used.outcome === 'static' ? presented : (stored ?? successor)
}

/** Builds a refusal whose event names the grant. Only a grant that is still valid can raise an alarm. */
function refuse(why: Why, { id, clientId, certificate }: Stored, isAlive: boolean): OAuthError {
  const refusal = new OAuthError('invalid_grant', ...why)
  refusal[isAlive ? 'token' : 'endedToken'] = { client_id: clientId, grant: id, bound_to: certificate }
  return refusal
}

/** Describes a text in place of a refresh token without quoting it. */
function describe(text: string): string {
  if (isOpaqueToken(text) === 'at') return 'an access token'
  if (isPaseto(text)) return 'a PASETO'
  return text.split('.').length === 3 ? 'a JWT' : `${text.length} characters`
}

function readActor(actor: string | undefined): { sub: string } | undefined {
  return actor === undefined ? undefined : JSON.parse(actor)
}
