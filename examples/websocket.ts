// A WebSocket server with ws: the upgrade request presents the token, so that every message comes from its own client.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/websocket.ts
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createVerifier, mutualTls, OAuthError } from 'tlsbound'
import { WebSocketServer } from 'ws'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const verifier = createVerifier({ issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' })
const sockets = new WebSocketServer({ noServer: true })

async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  try {
    const { claims } = await verifier.verify(request)
    sockets.handleUpgrade(request, socket, head, peer => {
      peer.on('message', message => peer.send(`${claims.client_id}: ${message}`))
      // A token ends while its connection lives on: close it then.
      const timer = setTimeout(() => peer.close(1008, 'the token has expired'), claims.exp * 1000 - Date.now())
      peer.on('close', () => clearTimeout(timer))
    })
  } catch (error) {
    if (error instanceof OAuthError) verifier.sendRefusal(socket, error)
    else socket.destroy()
  }
}

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
const server = tls((_request, response) => void response.writeHead(426, { upgrade: 'websocket' }).end())
server.on('upgrade', upgrade)
server.listen({ host: '127.0.0.1', port: 8444 })
