// The floor's two endpoints: responses of the right form and length, without tokens.
import type { FastifyInstance } from 'fastify'
import { acceptForms } from './fastify.ts'

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Not verified: as long as an ES256 access token with a connection-bound confirmation. */
const TOKEN = [
  encode({ alg: 'ES256', typ: 'at+jwt', kid: 'k'.repeat(43) }),
  encode({
    iss: 'https://localhost:8443',
    sub: 'alice',
    aud: 'https://localhost:8443',
    client_id: 'alice',
    scope: 'notes:read',
    iat: 1_800_000_000,
    exp: 1_800_000_300,
    jti: '00000000-0000-0000-0000-000000000000',
    cnf: { 'x5t#S256': 'x'.repeat(43), 'tls-exporter#S256': 'e'.repeat(43) },
  }),
  's'.repeat(86),
].join('.')

const ISSUED = {
  access_token: TOKEN,
  token_type: 'Bearer',
  expires_in: 300,
  scope: 'notes:read',
  token_binding: 'connection',
}

const WHOAMI = { client_id: 'alice', sub: 'alice', scope: 'notes:read', token_binding: 'connection' }

export function addFloorRoutes(app: FastifyInstance): void {
  acceptForms(app)
  app.get('/api/whoami', async () => WHOAMI)
  app.post('/oauth/token', async (_request, reply) => reply.header('cache-control', 'no-store').send(ISSUED))
}
