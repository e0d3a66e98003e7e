// A notes server that accepts a token only from its own client: a stolen token is refused.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/bound.ts
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { mutualTls, requireToken } from 'tlsbound'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const jwks = { uri: `${issuer}/oauth/jwks`, ca: pem('ca.crt') } // follows the rotation of the keys

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
const app = Fastify({ serverFactory: tls })
await app.register(requireToken, { issuer, audience: issuer, jwks, scope: 'notes:read' })

app.get('/notes', async request => `notes of ${request.token.claims.client_id}\n`)

await app.listen({ host: '127.0.0.1', port: 8444 })
