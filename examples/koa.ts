// A notes server in Koa that accepts a token only from its own client.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/koa.ts
import { readFileSync } from 'node:fs'
import Koa from 'koa'
import { mutualTls } from 'tlsbound'
import { requireToken, type TokenState } from 'tlsbound/koa'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')

const app = new Koa<TokenState>()
app.use(requireToken({ issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' }))

app.use(context => {
  context.body = `notes of ${context.state.token.claims.client_id}\n`
})

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
tls(app.callback()).listen({ host: '127.0.0.1', port: 8444 })
