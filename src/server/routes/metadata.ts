// The two well-known documents and the public keys: RFC 8414, RFC 9728, RFC 7517, PASERK. They require no token or certificate.
// They are built from the current settings; no request header affects them.
import type { FastifyInstance } from 'fastify'
import { authenticationMethods, tokenFormats } from '../../core/client.ts'
import { tokenBindings } from '../../core/confirmation.ts'
import { proofAlgorithms } from '../../core/proof-algorithm.ts'
import { paserkOf } from '../../keys/paserk.ts'
import { isPasetoKey } from '../../keys/token-keys.ts'
import type { ServerParts } from '../parts.ts'
import { supportedGrants } from './token.ts'

/** What the routes need of the server. */
type MetadataParts = Pick<ServerParts, 'settings' | 'clients' | 'keys' | 'now'>

export function metadataRoutes(app: FastifyInstance, { settings, clients, keys, now }: MetadataParts): void {
  const { issuer, audience } = settings
  const scopes = () => [...new Set(clients.enabled.flatMap(client => [...client.scope]))].sort()

  /** The members about token binding that both documents share. */
  const bindings = {
    tls_client_certificate_bound_access_tokens: true,
    tls_session_bound_access_tokens: true,
    token_bindings_supported: tokenBindings,
    binding_proof_signing_alg_values_supported: proofAlgorithms,
  }

  const at = (path: string) => new URL(path, issuer).href

  // RFC 8414 §3.1 removes the slash at the end of the issuer. RFC 9728 has no such rule.
  document(wellKnown('oauth-authorization-server', issuer.replace(/\/$/, '')), () => ({
    issuer,
    // RFC 8414 §2 requires response_types_supported, and §3.2 forbids an empty list. `none` is the registered response type
    // without a code or a token (OAuth 2.0 Multiple Response Type Encoding Practices §4), and here that endpoint issues neither.
    // Clients such as the MCP SDK reject metadata without these two members, even if they request client_credentials.
    authorization_endpoint: at('/oauth/authorize'),
    response_types_supported: ['none'],
    token_endpoint: at('/oauth/token'),
    introspection_endpoint: at('/oauth/introspect'),
    revocation_endpoint: at('/oauth/revoke'),
    jwks_uri: at('/oauth/jwks'),
    paserks_uri: at('/oauth/paserks'),
    access_token_formats_supported: tokenFormats.filter(format => format !== 'paseto' || keys.hasPaseto(now())),
    scopes_supported: scopes(),
    grant_types_supported: supportedGrants,
    token_endpoint_auth_methods_supported: authenticationMethods,
    introspection_endpoint_auth_methods_supported: authenticationMethods,
    revocation_endpoint_auth_methods_supported: authenticationMethods,
    ...bindings,
  }))
  document(wellKnown('oauth-protected-resource', audience), () => ({
    resource: audience,
    authorization_servers: [issuer],
    jwks_uri: at('/oauth/jwks'),
    scopes_supported: scopes(),
    bearer_methods_supported: ['header'],
    ...bindings,
  }))
  document('/oauth/jwks', () => ({ keys: keys.published(now()) }))
  // The same keys for libraries that read no JWK: each key for PASETO under the id in the footers.
  document('/oauth/paserks', () => ({
    keys: Object.fromEntries(
      keys
        .published(now())
        .filter(isPasetoKey)
        .map(({ kid, x }) => [kid, paserkOf(String(x))]),
    ),
  }))

  function document(path: string, build: () => object): void {
    app.get(path, (_request, reply) => {
      const members = Object.entries(build()).filter(([, value]) => !(Array.isArray(value) && value.length === 0))
      // RFC 8414 §3.2: an empty list is omitted.
      reply.header('cache-control', `max-age=${documentLifetime}`).send(Object.fromEntries(members))
    })
  }
}

/** Seconds for which clients may cache these documents. A new key is published that long before it signs. */
export const documentLifetime = 300

/** Returns the path of a document about `identifier`: between its host and its path (RFC 8414 §3, RFC 9728 §3.1). */
export function wellKnown(name: string, identifier: string): string {
  const { pathname } = new URL(identifier)
  return `/.well-known/${name}${pathname === '/' ? '' : pathname}`
}
