// POST /oauth/revoke (RFC 7009): a client revokes its own token. A refresh token revokes its whole grant. Every token gets
// the response of success, so that a thief cannot test tokens here. An unknown, expired or revoked token has no effect.
// Another client's valid token stays valid and raises an alarm.
import type { FastifyInstance } from 'fastify'
import { type AccessTokenClaims, isTime } from '../../core/access-token.ts'
import { OAuthError, type TokenFacts } from '../../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../../core/opaque-token.ts'
import { afterlife, buildRevocation, buildTokenRevocation, type Revocation } from '../../core/revocations.ts'
import { describeToken } from '../../verify/token-facts.ts'
import { acceptForms, readForm, requireParameter } from '../bodies.ts'
import { type AuthenticationParts, authenticate } from '../grants/authenticate.ts'
import { reportForeignToken } from '../incidents/foreign-token.ts'
import type { ServerParts } from '../parts.ts'

interface Found {
  readonly facts: TokenFacts
  readonly revocation: Revocation
  /** Whether the owner could still use the token. If not, it raises no alarm when another party presents it. */
  readonly isLiving: boolean
}

/** What the route needs of the server. */
type RevocationParts = AuthenticationParts & Pick<ServerParts, 'store' | 'audit' | 'readToken' | 'onRefusal' | 'log'>

export function revokeRoute(app: FastifyInstance, parts: RevocationParts): void {
  const { store, state, now } = parts
  acceptForms(app)
  app.post('/oauth/revoke', async (request, reply) => {
    const form = readForm(request.body)
    const { client } = await authenticate(request, form, parts)
    const found = await find(requireParameter(form, 'token'))
    if (found?.facts.client_id === client.id) {
      await store.revoke(found.revocation)
      parts.audit.tokenRevoked(request, client.id, found.revocation)
    } else if (found?.isLiving) reportForeignToken(request, 'other_owner', found.facts, parts)
    return reply.code(200).header('cache-control', 'no-store').send()
  })

  /**
   * Finds a token that can still be revoked, with its owner and its revocation. An expired refresh token can be revoked
   * while access tokens of its grant may be valid. The token's form shows its kind, so the hint is ignored (RFC 7009 §2.1).
   */
  async function find(token: string): Promise<Found | undefined> {
    if (isOpaqueToken(token) === 'rt') {
      const known = await store.findRefreshToken(hashOpaqueToken(token))
      if (known === undefined || known.state === 'revoked') return undefined
      const { id, clientId: client_id, certificate: bound_to, expires } = known.grant
      if (expires + afterlife <= now()) return undefined
      const facts = { client_id, grant: id, bound_to }
      return { facts, revocation: buildRevocation('grant', id, now()), isLiving: expires > now() }
    }
    const claims = await readClaims(token)
    if (typeof claims?.jti !== 'string' || !isTime(claims.exp) || claims.exp <= now()) return undefined
    if (state.isRevoked(claims as unknown as AccessTokenClaims)) return undefined
    const revocation = buildTokenRevocation(claims.jti, Math.ceil(claims.exp), now())
    return { facts: describeToken(claims), revocation, isLiving: true }
  }

  async function readClaims(token: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      return await parts.readToken(token)
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }
}
