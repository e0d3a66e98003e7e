// A notes server in Express 5 that accepts bearer tokens, stolen ones too. express.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain/express.ts
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import express, { type RequestHandler } from 'express'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))

const requireToken =
  (scope: string): RequestHandler =>
  async (request, response, next) => {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const verified = await jwtVerify(token, keys, { issuer, audience: issuer }).catch(() => undefined)
    response.locals.claims = verified?.payload
    if (verified === undefined) response.sendStatus(401)
    else if (!String(verified.payload.scope).split(' ').includes(scope)) response.sendStatus(403)
    else next()
  }

const app = express()
app.use(requireToken('notes:read'))

app.get('/notes', (_request, response) => {
  response.send(`notes of ${response.locals.claims.client_id}\n`)
})
app.post('/notes', requireToken('notes:write'), (_request, response) => {
  response.send(`written by ${response.locals.claims.client_id}\n`)
})

createServer({ cert: pem('server.crt'), key: pem('server.key') }, app).listen({ host: '127.0.0.1', port: 8444 })
