// POST /oauth/revoke (RFC 7009): a client gives back its own token. A refresh token takes its whole grant along.
// What is unknown, expired or revoked already is answered like success, and leaves nothing behind.
import type { FastifyInstance } from 'fastify'
import type { AccessTokenClaims } from '../../core/access-token.ts'
import { OAuthError } from '../../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../../core/opaque-token.ts'
import { afterlife, buildRevocation, buildTokenRevocation, type Revocation } from '../../core/revocations.ts'
import { authenticate } from '../authenticate.ts'
import { acceptForms, readForm, requireParameter } from '../bodies.ts'
import type { ServerParts } from '../parts.ts'

export function revokeRoute(app: FastifyInstance, parts: ServerParts): void {
  const { store, state, now } = parts
  acceptForms(app)
  app.post('/oauth/revoke', async (request, reply) => {
    const form = readForm(request.body)
    const { client } = await authenticate(request, form, parts)
    const found = await find(requireParameter(form, 'token'))
    if (found !== undefined) {
      if (found.clientId !== client.id) throw new OAuthError('invalid_client', 'client_mismatch', 'other_owner')
      await store.revoke(found.revocation)
      parts.audit.tokenRevoked(request, client.id, found.revocation)
    }
    return reply.code(200).header('cache-control', 'no-store').send()
  })

  /** Whose token it is, and what revokes it. The hint about its kind is not needed: its form tells (RFC 7009 §2.1). */
  async function find(token: string): Promise<{ clientId: unknown; revocation: Revocation } | undefined> {
    if (isOpaqueToken(token) === 'rt') {
      const known = await store.findRefreshToken(hashOpaqueToken(token))
      if (known === undefined || known.state === 'revoked') return undefined
      const { id, clientId, expires } = known.grant
      return expires + afterlife > now() ? { clientId, revocation: buildRevocation('grant', id, now()) } : undefined
    }
    const claims = await readClaims(token)
    if (typeof claims?.jti !== 'string' || typeof claims.exp !== 'number' || claims.exp <= now()) return undefined
    if (state.isRevoked(claims as unknown as AccessTokenClaims)) return undefined
    return { clientId: claims.client_id, revocation: buildTokenRevocation(claims.jti, claims.exp, now()) }
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
