// A notes server in Hono on Node that accepts bearer tokens, stolen ones too. hono.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain/hono.ts
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { getRequestListener } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import { jwk } from 'hono/jwk'
import type { JwtVariables } from 'hono/jwt'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const verification = { iss: issuer, aud: issuer, typ: 'at+jwt' }

const requireScope =
  (scope: string): MiddlewareHandler<{ Variables: JwtVariables }> =>
  async (c, next) =>
    String(c.var.jwtPayload.scope).split(' ').includes(scope) ? next() : c.body(null, 403)

const app = new Hono<{ Variables: JwtVariables }>()
app.use(jwk({ jwks_uri: `${issuer}/oauth/jwks`, alg: ['ES256'], verification }), requireScope('notes:read'))

app.get('/notes', c => c.text(`notes of ${c.var.jwtPayload.client_id}\n`))
app.post('/notes', requireScope('notes:write'), c => c.text(`written by ${c.var.jwtPayload.client_id}\n`))

createServer({ cert: pem('server.crt'), key: pem('server.key') }, getRequestListener(app.fetch)).listen({
  host: '127.0.0.1',
  port: 8444,
})
