// A notes server on Node's https that verifies certificate-bound tokens (RFC 8705) with jose: signature, claims, then cnf.
// It accepts level certificate only: levels connection and proof need keying material of the connection. For them use tlsbound.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/verifiers/jose.ts
import { constants, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'

const issuer = 'https://localhost:8443'
const audience = issuer
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')

/** Returns the claims of the request's token. Throws a JOSEError if the token is invalid, or belongs to another certificate. */
async function verify(request: IncomingMessage): Promise<JWTPayload> {
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const expected = { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['exp', 'client_id'] }
  const { payload } = await jwtVerify(token, keys, expected)
  const certificate = (request.socket as TLSSocket).getPeerX509Certificate()
  // Exactly this member: a token with another one is bound to more than this server can check.
  const cnf = certificate && { 'x5t#S256': hash('sha256', certificate.raw, 'base64url') }
  if (cnf === undefined || !isDeepStrictEqual(payload.cnf, cnf))
    throw new errors.JWTClaimValidationFailed(
      'the token belongs to another certificate',
      payload,
      'cnf',
      'check_failed',
    )
  return payload
}

const tls = {
  ...{ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') },
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.3', // no renegotiation
  secureOptions: constants.SSL_OP_NO_TICKET, // no resumption
} as const

createServer(tls, async (request, response) => {
  try {
    const { client_id, scope } = await verify(request)
    if (String(scope).split(' ').includes('notes:read')) response.end(`notes of ${client_id}\n`)
    else response.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end()
  } catch (error) {
    if (!(error instanceof errors.JOSEError))
      response.writeHead(503).end() // such as: the issuer is not reachable
    else response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
  }
}).listen({ host: '127.0.0.1', port: 8444 })
