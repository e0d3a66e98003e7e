// Another server for the lab: node-oidc-provider 9 issues certificate-bound JWTs, and a resource server verifies them with
// jose, as RFC 8705 §3 requires. TLS is Node's default; neither uses tlsbound.
import { generateKeyPairSync, hash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createLocalJWKSet, type JWK, jwtVerify } from 'jose'
import Provider from 'oidc-provider'
import type { TokenJwk } from '../../../src/keys/token-keys.ts'
import { type DemoPki, makeDemoPki } from '../../../src/pki/demo.ts'

export interface ForeignServer {
  readonly origin: string
  /** The URL at which its tokens are used, with GET. */
  readonly resource: string
  readonly pki: DemoPki
  /** Its own signing key. */
  readonly signingKey: TokenJwk
  close(): Promise<void>
}

export interface ForeignOptions {
  readonly pki?: DemoPki
  /** How clients authenticate. With secrets, tokens are still bound to certificates. */
  readonly authentication?: 'tls_client_auth' | 'client_secret_basic' | 'client_secret_post'
}

/** The secret of a client, where clients have secrets. */
export const foreignSecret = (name: string) => `${name}: 100% a+secret&=`

/** Starts both on a free port of 127.0.0.1, with alice and bob as clients. */
export async function startForeignServer(options: ForeignOptions = {}): Promise<ForeignServer> {
  const { pki = makeDemoPki(), authentication = 'tls_client_auth' } = options
  let answer: RequestListener = () => {}
  const { ca, server } = pki
  const https = createServer(
    { ca: ca.certificate, cert: server.certificate, key: server.key, requestCert: true, rejectUnauthorized: false },
    (request, response) => answer(request, response),
  )
  https.listen(0, '127.0.0.1')
  await once(https, 'listening')
  const origin = `https://localhost:${(https.address() as AddressInfo).port}`
  const resource = `${origin}/api/whoami`
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = { kid: 'foreign', alg: 'ES256', use: 'sig' } as const
  const signingKey: TokenJwk = { ...privateKey.export({ format: 'jwk' }), ...name }
  const { d: _, ...publicJwk } = signingKey
  const provider = createProvider(origin, resource, signingKey, authentication)
  const protect = createResource(origin, resource, publicJwk as JWK)
  const issue = provider.callback()
  answer = (request, response) => void (request.url?.startsWith('/api/') ? protect : issue)(request, response)
  return {
    origin,
    resource,
    pki,
    signingKey,
    close: async () => {
      https.closeAllConnections()
      https.close()
      await once(https, 'close')
    },
  }
}

function createProvider(origin: string, resource: string, key: object, authentication: string): Provider {
  const certificateOf = ({ socket }: { socket: TLSSocket }) => socket.getPeerX509Certificate()
  return new Provider(origin, {
    clients: ['alice', 'bob'].map(name => ({
      client_id: name,
      token_endpoint_auth_method: authentication,
      ...(authentication === 'tls_client_auth'
        ? { tls_client_auth_subject_dn: `CN=${name}` }
        : { client_secret: foreignSecret(name) }),
      tls_client_certificate_bound_access_tokens: true,
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'notes:read',
    })),
    clientAuthMethods: [authentication],
    jwks: { keys: [key] },
    scopes: ['notes:read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: certificateOf,
        certificateAuthorized: ({ socket }: { socket: TLSSocket }) => socket.authorized,
        certificateSubjectMatches: (context: { socket: TLSSocket }, _property: string, expected: string) =>
          certificateOf(context)?.subject === expected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({
          audience: resource,
          scope: 'notes:read',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
}

function createResource(issuer: string, audience: string, key: JWK): RequestListener {
  const keys = createLocalJWKSet({ keys: [key] })
  return async (request, response) => {
    try {
      const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
      if (token === undefined) return refuse(response)
      const options = { issuer, audience, algorithms: ['ES256'], typ: 'at+jwt' }
      const { payload } = await jwtVerify<{ cnf?: { 'x5t#S256'?: unknown } }>(token, keys, options)
      if (!isConfirmed(payload.cnf?.['x5t#S256'], request)) return refuse(response, 'invalid_token')
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ client_id: payload.client_id }))
    } catch {
      refuse(response, 'invalid_token')
    }
  }
}

function isConfirmed(expected: unknown, { socket }: IncomingMessage): boolean {
  const { authorized } = socket as TLSSocket
  const certificate = authorized ? (socket as TLSSocket).getPeerX509Certificate() : undefined
  if (certificate === undefined || typeof expected !== 'string') return false
  const [one, other] = [Buffer.from(expected), Buffer.from(hash('sha256', certificate.raw, 'base64url'))]
  return one.length === other.length && timingSafeEqual(one, other)
}

function refuse(response: ServerResponse, error?: string): void {
  response.statusCode = 401
  response.setHeader('www-authenticate', error === undefined ? 'Bearer' : `Bearer error="${error}"`).end()
}
