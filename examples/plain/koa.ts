// A notes server in Koa that accepts bearer tokens, stolen ones too. koa.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain/koa.ts
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import Koa from 'koa'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))

const app = new Koa<{ claims: JWTPayload }>()
app.use(async (context, next) => {
  const token = context.get('authorization').replace(/^Bearer /, '')
  const verified = await jwtVerify(token, keys, { issuer, audience: issuer }).catch(() => context.throw(401))
  context.state.claims = verified.payload
  if (!String(verified.payload.scope).split(' ').includes('notes:read')) context.throw(403)
  await next()
})

app.use(context => {
  context.body = `notes of ${context.state.claims.client_id}\n`
})

createServer({ cert: pem('server.crt'), key: pem('server.key') }, app.callback()).listen({
  host: '127.0.0.1',
  port: 8444,
})
