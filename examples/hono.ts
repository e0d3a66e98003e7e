// A notes server in Hono on Node that accepts a token only from its own client.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/hono.ts
import { readFileSync } from 'node:fs'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { createVerifier, mutualTls } from 'tlsbound'
import { requireToken, type TokenEnv } from 'tlsbound/hono'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const verifier = createVerifier({ issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' })

const app = new Hono<TokenEnv>()
app.use(requireToken(verifier))

app.get('/notes', c => c.text(`notes of ${c.var.token.claims.client_id}\n`))
app.post('/notes', requireToken(verifier, { scope: 'notes:write' }), c =>
  c.text(`written by ${c.var.token.claims.client_id}\n`),
)

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
tls(getRequestListener(app.fetch)).listen({ host: '127.0.0.1', port: 8444 })
