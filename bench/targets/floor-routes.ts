// The floor's endpoints: responses of the right form and length. Tokens are constant, and nothing is verified.
import type { FastifyInstance } from 'fastify'
import { acceptForms } from './fastify.ts'

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

const CLAIMS = {
  iss: 'https://localhost:8443',
  sub: 'alice',
  aud: 'https://localhost:8443',
  client_id: 'alice',
  scope: 'notes:read',
  iat: 1_800_000_000,
  exp: 1_800_000_300,
  jti: '00000000-0000-0000-0000-000000000000',
  cnf: { 'x5t#S256': 'x'.repeat(43), 'tls-exporter#S256': 'e'.repeat(43) },
}

/** Not verified: as long as an ES256 access token with a connection-bound confirmation. */
export const TOKEN = [
  encode({ alg: 'ES256', typ: 'at+jwt', kid: 'k'.repeat(43) }),
  encode(CLAIMS),
  's'.repeat(86),
].join('.')

/** As long as the tokens that tlsbound stores. */
const OPAQUE = `tlsbound_at_${'o'.repeat(49)}`
const REFRESH = `tlsbound_rt_${'r'.repeat(49)}`

const ISSUED = {
  access_token: TOKEN,
  token_type: 'Bearer',
  expires_in: 300,
  scope: 'notes:read',
  token_binding: 'connection',
}
const ISSUED_TO = {
  alice: ISSUED,
  bob: { ...ISSUED, access_token: OPAQUE },
  refresh: { ...ISSUED, refresh_token: REFRESH },
} as const
const WHOAMI = { client_id: 'alice', sub: 'alice', scope: 'notes:read', token_binding: 'connection' }
const INTROSPECTED = { active: true, token_type: 'Bearer', ...CLAIMS }

export function addFloorRoutes(app: FastifyInstance): void {
  acceptForms(app)
  app.get('/api/whoami', async () => WHOAMI)
  app.post<{ Body: URLSearchParams }>('/oauth/token', async ({ body }, reply) => {
    const who = body.get('client_id') === 'bob' ? 'bob' : body.has('refresh_token') ? 'refresh' : 'alice'
    return reply.header('cache-control', 'no-store').send(ISSUED_TO[who])
  })
  app.post('/oauth/introspect', async (_request, reply) => reply.header('cache-control', 'no-store').send(INTROSPECTED))
}
