// The peer: node-oidc-provider 9 configured for the same task. client_credentials, tls_client_auth (RFC 8705 §2.1),
// certificate-bound JWT access tokens, its default signature RS256, its in-memory adapter.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import Provider from 'oidc-provider'
import { buildTlsOptions, serveTarget } from './target.ts'

const API = 'https://localhost/api'
const RS256_KEY = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })

interface Context {
  socket: TLSSocket
}

const readCertificate = ({ socket }: Context) => socket.getPeerX509Certificate()

const provider = new Provider('https://localhost', {
  clients: [
    {
      client_id: 'alice',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=alice',
      tls_client_certificate_bound_access_tokens: true,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'notes:read',
    },
  ],
  clientAuthMethods: ['tls_client_auth'],
  jwks: { keys: [{ ...RS256_KEY, kid: 'bench', alg: 'RS256', use: 'sig' }] },
  scopes: ['notes:read'],
  routes: { token: '/oauth/token' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: readCertificate,
      certificateAuthorized: ({ socket }: Context) => socket.authorized,
      certificateSubjectMatches: (context: Context, _property: string, expected: string) =>
        readCertificate(context)?.subject === expected,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API,
      getResourceServerInfo: () => ({
        audience: API,
        scope: 'notes:read',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})

serveTarget(
  pki =>
    new Promise(resolve => {
      const server = createServer({ ALPNProtocols: ['http/1.1'], ...buildTlsOptions(pki) }, provider.callback())
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
    }),
)
