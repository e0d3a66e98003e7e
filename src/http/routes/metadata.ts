// The two well-known documents and the public keys: RFC 8414, RFC 9728, RFC 7517. They need neither token nor certificate,
// and say only what this server really does. Computed once from the settings; no header of a request gets into them.
import type { FastifyInstance } from 'fastify'
import { tokenBindings } from '../../core/confirmation.ts'
import type { ServerParts } from '../parts.ts'

export function metadataRoutes(app: FastifyInstance, { settings, clients, signingKeys }: ServerParts): void {
  const { issuer, audience } = settings
  const scopes = [...new Set([...clients.values()].flatMap(client => [...client.scope]))].sort()

  const jwksUri = new URL('/oauth/jwks', issuer).href
  // RFC 8414 §3.1: without the slash at the end of an issuer. RFC 9728 has no such rule.
  document(wellKnown('oauth-authorization-server', issuer.replace(/\/$/, '')), {
    issuer,
    token_endpoint: new URL('/oauth/token', issuer).href,
    jwks_uri: jwksUri,
    scopes_supported: scopes,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['tls_client_auth'],
    tls_client_certificate_bound_access_tokens: true,
    token_bindings_supported: tokenBindings,
  })
  document(wellKnown('oauth-protected-resource', audience), {
    resource: audience,
    authorization_servers: [issuer],
    jwks_uri: jwksUri,
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    tls_client_certificate_bound_access_tokens: true,
  })
  document('/oauth/jwks', { keys: signingKeys.map(key => key.publicJwk) })

  function document(path: string, content: object): void {
    const members = Object.entries(content).filter(([, value]) => !(Array.isArray(value) && value.length === 0))
    const body = JSON.stringify(Object.fromEntries(members)) // RFC 8414 §3.2: an empty list is left out
    app.get(path, (_request, reply) => {
      reply.type('application/json').header('cache-control', 'max-age=300').send(body)
    })
  }
}

/** Where a document about `identifier` lies: between its host and its path (RFC 8414 §3, RFC 9728 §3.1). */
export function wellKnown(name: string, identifier: string): string {
  const { pathname } = new URL(identifier)
  return `/.well-known/${name}${pathname === '/' ? '' : pathname}`
}
