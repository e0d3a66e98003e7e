// A notes server that accepts certificate-bound tokens (RFC 8705) of your own issuer. It follows the rotation of its keys.
// Run it with the names of your issuer: npx node --conditions=tlsbound-source examples/own-issuer.ts
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { mutualTls, requireToken } from 'tlsbound'

const issuer = 'https://issuer.example'
const audience = 'https://notes.example'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const jwks = { uri: `${issuer}/jwks`, ca: pem('ca.crt') } // ca: the authority of the issuer's own certificate

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
const app = Fastify({ serverFactory: tls })
await app.register(requireToken, { issuer, audience, jwks, scope: 'notes:read' })

app.get('/notes', async request => `notes of ${request.token.claims.client_id}\n`)

await app.listen({ host: '127.0.0.1', port: 8444 })
