// A notes server on Node's own https that accepts bearer tokens, stolen ones too. https.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain/https.ts
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const { payload: claims } = await jwtVerify(token, keys, { issuer, audience: issuer })
    if (String(claims.scope).split(' ').includes('notes:read')) response.end(`notes of ${claims.client_id}\n`)
    else response.writeHead(403).end()
  } catch {
    response.writeHead(401).end()
  }
}

createServer({ cert: pem('server.crt'), key: pem('server.key') }, serve).listen({
  host: '127.0.0.1',
  port: 8444,
})
