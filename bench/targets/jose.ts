// A typical implementation: certificate-bound ES256 tokens (RFC 8705 §3.1), signed and verified with jose on every request.
import { createHash, generateKeyPairSync, randomUUID, timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { acceptForms, createHttp2App, listen } from './fastify.ts'
import { serveTarget } from './target.ts'

const ISSUER = 'https://localhost:8443'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function readThumbprint(request: FastifyRequest): string {
  const socket = request.raw.socket as TLSSocket
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  if (certificate === undefined) throw Object.assign(new Error('no certificate'), { statusCode: 401 })
  return createHash('sha256').update(certificate.raw).digest('base64url')
}

const issue = async (clientId: string, scope: string, thumbprint: string): Promise<string> =>
  new SignJWT({ client_id: clientId, scope, cnf: { 'x5t#S256': thumbprint } })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'jose' })
    .setIssuer(ISSUER)
    .setSubject(clientId)
    .setAudience(ISSUER)
    .setIssuedAt()
    .setExpirationTime('5m')
    .setJti(randomUUID())
    .sign(privateKey)

async function verify(request: FastifyRequest): Promise<JWTPayload> {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const { payload } = await jwtVerify<{ cnf?: { 'x5t#S256'?: string } }>(token, publicKey, {
    algorithms: ['ES256'],
    typ: 'at+jwt',
    issuer: ISSUER,
    audience: ISSUER,
  })
  const confirmed = Buffer.from(payload.cnf?.['x5t#S256'] ?? '')
  const presented = Buffer.from(readThumbprint(request))
  if (confirmed.length !== presented.length || !timingSafeEqual(confirmed, presented)) {
    throw Object.assign(new Error('certificate mismatch'), { statusCode: 401 })
  }
  return payload
}

function addRoutes(app: FastifyInstance): void {
  acceptForms(app)
  app.post<{ Body: URLSearchParams }>('/oauth/token', async (request, reply) => {
    const clientId = request.body.get('client_id')
    if (request.body.get('grant_type') !== 'client_credentials' || clientId !== 'alice') return reply.code(400).send({})
    const scope = request.body.get('scope') ?? ''
    const access_token = await issue(clientId, scope, readThumbprint(request))
    return reply
      .header('cache-control', 'no-store')
      .send({ access_token, token_type: 'Bearer', expires_in: 300, scope })
  })
  app.get('/api/whoami', async request => {
    const { client_id, sub, scope } = await verify(request)
    return { client_id, sub, scope, token_binding: 'certificate' }
  })
}

serveTarget(pki => {
  const app = createHttp2App(pki)
  addRoutes(app)
  return listen(app)
})
