// A WebSocket server with ws that accepts bearer tokens, stolen ones too. websocket.ts shows what to change.
// Run it beside `npm start`: NODE_EXTRA_CA_CERTS=certs/ca.crt npx node examples/plain/websocket.ts
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { WebSocketServer } from 'ws'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))
const sockets = new WebSocketServer({ noServer: true })

async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const expected = { issuer, audience: issuer, requiredClaims: ['exp'] }
    const { payload: claims } = await jwtVerify(token, keys, expected)
    if (!String(claims.scope).split(' ').includes('notes:read')) throw new Error('the scope is missing')
    sockets.handleUpgrade(request, socket, head, peer => {
      peer.on('message', message => peer.send(`${claims.client_id}: ${message}`))
      // A token ends while its connection lives on: close it then.
      const timer = setTimeout(() => peer.close(1008, 'the token has expired'), Number(claims.exp) * 1000 - Date.now())
      peer.on('close', () => clearTimeout(timer))
    })
  } catch {
    socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
  }
}

const tls = { cert: pem('server.crt'), key: pem('server.key') }
const server = createServer(tls, (_request, response) => void response.writeHead(426, { upgrade: 'websocket' }).end())
server.on('upgrade', upgrade)
server.listen({ host: '127.0.0.1', port: 8444 })
