// A notes server in Express 5 that accepts a token only from its own client. The listener offers no HTTP/2, which Express does not support.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/express.ts
import { readFileSync } from 'node:fs'
import express from 'express'
import { createVerifier, mutualTls } from 'tlsbound'
import { requireToken } from 'tlsbound/express'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const verifier = createVerifier({ issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' })

const app = express()
app.use(requireToken(verifier))

app.get('/notes', (request, response) => {
  response.send(`notes of ${request.token.claims.client_id}\n`)
})
app.post('/notes', requireToken(verifier, { scope: 'notes:write' }), (request, response) => {
  response.send(`written by ${request.token.claims.client_id}\n`)
})

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
tls(app).listen({ host: '127.0.0.1', port: 8444 })
