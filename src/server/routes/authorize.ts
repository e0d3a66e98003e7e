// GET /oauth/authorize: the authorization endpoint (RFC 6749 §3.1). It exists because clients of OAuth expect one in the metadata
// (metadata.ts). No client is registered for it, and none has a redirect URI, so it refuses every request and never redirects.
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../../core/errors.ts'

export function authorizeRoute(app: FastifyInstance): void {
  app.get('/oauth/authorize', () => {
    throw new OAuthError('unauthorized_client', 'grant_type_not_allowed', 'authorization_endpoint')
  })
}
