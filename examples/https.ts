// A notes server on Node's own https, with TLS settings of its own, that accepts a token only from its own client.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/https.ts
import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { createVerifier, OAuthError } from 'tlsbound'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const verifier = createVerifier({ issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' })

// Without these settings a connection could change its certificate, or have none. The verifier warns of each that is missing.
const safe = {
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.3', // no renegotiation
  secureOptions: constants.SSL_OP_NO_TICKET, // no resumption
} as const

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { claims } = await verifier.verify(request)
    response.end(`notes of ${claims.client_id}\n`)
  } catch (error) {
    if (error instanceof OAuthError) verifier.sendRefusal(response, error)
    else response.writeHead(500).end()
  }
}

createServer({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt'), ...safe }, serve).listen({
  host: '127.0.0.1',
  port: 8444,
})
