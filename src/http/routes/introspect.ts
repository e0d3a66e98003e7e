// POST /oauth/introspect (RFC 7662): for the resource server that a token is for, and nobody else.
// All that is not right is `{"active": false}`: whether it is unknown, dead or somebody else's is not told.
import type { FastifyInstance } from 'fastify'
import { type AccessTokenClaims, checkClaims } from '../../core/access-token.ts'
import { OAuthError } from '../../core/errors.ts'
import { authenticate } from '../authenticate.ts'
import { acceptForms, readForm, requireParameter } from '../bodies.ts'
import type { ServerParts } from '../parts.ts'

export function introspectRoute(app: FastifyInstance, parts: ServerParts): void {
  acceptForms(app)
  app.post('/oauth/introspect', async (request, reply) => {
    const form = readForm(request.body)
    const { client } = await authenticate(request, form, parts)
    const token = requireParameter(form, 'token')
    const claims = client.resource === undefined ? undefined : await readActive(token, client.resource)
    parts.audit.tokenIntrospected(request, client.id, claims)
    reply.header('cache-control', 'no-store')
    return claims === undefined ? { active: false } : { active: true, token_type: 'Bearer', ...claims }
  })

  async function readActive(token: string, audience: string): Promise<AccessTokenClaims | undefined> {
    try {
      const claims = (await parts.readToken(token)) as unknown as AccessTokenClaims
      checkClaims({ ...claims }, { issuer: parts.settings.issuer, audience }, parts.now())
      return parts.state.isRevoked(claims) ? undefined : claims
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }
}
