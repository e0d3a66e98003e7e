// A notes server that accepts bearer tokens, stolen ones too. bound.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain-bearer.ts
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'

const issuer = 'https://localhost:8443'
const jwks = (await (await fetch(`${issuer}/oauth/jwks`)).json()) as { keys: [{ kty: string }] }
const publicKey = createPublicKey({ key: jwks.keys[0], format: 'jwk' })
  .export({ type: 'spki', format: 'pem' })
  .toString()
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')

const app = Fastify({ https: { cert: pem('server.crt'), key: pem('server.key') } })
await app.register(jwt, { secret: { public: publicKey }, verify: { allowedIss: issuer, allowedAud: issuer } })
app.addHook('onRequest', request => request.jwtVerify())

app.get('/notes', async request => `notes of ${(request.user as { client_id: string }).client_id}\n`)

await app.listen({ host: '127.0.0.1', port: 8444 })
