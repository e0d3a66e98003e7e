// POST /oauth/introspect (RFC 7662): only the resource server that a token is for learns its claims. For any other token
// the response is `{"active": false}`, without the reason.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type AccessTokenClaims, checkClaims } from '../../core/access-token.ts'
import { OAuthError } from '../../core/errors.ts'
import { acceptForms, readForm, requireParameter } from '../bodies.ts'
import { type AuthenticationParts, authenticate } from '../grants/authenticate.ts'
import { reportForeignToken } from '../incidents/foreign-token.ts'
import type { ServerParts } from '../parts.ts'

/** What the route needs of the server. */
type IntrospectionParts = AuthenticationParts &
  Pick<ServerParts, 'settings' | 'clock' | 'audit' | 'readToken' | 'onRefusal' | 'log'>

export function introspectRoute(app: FastifyInstance, parts: IntrospectionParts): void {
  acceptForms(app)
  app.post('/oauth/introspect', async (request, reply) => {
    const form = readForm(request.body)
    const { client } = await authenticate(request, form, parts)
    const token = requireParameter(form, 'token')
    const claims = client.resource === undefined ? undefined : await readActive(token, client.resource)
    parts.audit.tokenIntrospected(request, client.id, claims)
    // A resource server may receive a token for another one. A client without a resource never receives tokens.
    if (client.resource === undefined) void attachTokenFacts(request, client.id, token)
    reply.header('cache-control', 'no-store')
    return claims === undefined ? { active: false } : { active: true, token_type: 'Bearer', ...claims }
  })

  /** Records another client's valid token. Never rejects. */
  async function attachTokenFacts(request: FastifyRequest, clientId: string, token: string): Promise<void> {
    const found = new OAuthError('invalid_token', 'client_mismatch', 'not_a_resource')
    await parts.attachTokenFacts(token, found)
    if (found.token !== undefined && found.token.client_id !== clientId)
      reportForeignToken(request, 'not_a_resource', found.token, parts)
  }

  async function readActive(token: string, audience: string): Promise<AccessTokenClaims | undefined> {
    try {
      const claims = (await parts.readToken(token)) as unknown as AccessTokenClaims
      checkClaims({ ...claims }, { issuer: parts.settings.issuer, audience }, parts.clock() / 1000)
      return parts.state.isRevoked(claims) ? undefined : claims
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }
}
