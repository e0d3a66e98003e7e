// Listens, and closes in time.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Settings } from '../settings/settings.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import { listenOnSocket } from './proxy-socket.ts'

/** Milliseconds after which open requests are ended when a server closes. */
export const shutdownTimeout = 8000

export function listenFor(probes: Server, { probeHost: host, probePort: port }: Settings): Promise<void> {
  return new Promise((resolve, reject) => void probes.once('error', reject).listen({ host, port }, resolve))
}

export function closeProbes(probes: Server): Promise<void> {
  return new Promise(resolve => {
    probes.close(() => resolve())
    probes.closeAllConnections()
  })
}

/** Returns the TCP connections of a server, including those in their handshake. */
export function trackSockets({ server }: FastifyInstance): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

/** Listens on the socket of the settings, if there is one, which was prepared. */
export async function listenForProxies(
  app: FastifyInstance,
  tls: MutualTls,
  { proxySocket }: Settings,
): Promise<Server | undefined> {
  if (proxySocket === undefined) return undefined
  const server = tls.createProxyServer(app.server)
  await listenOnSocket(server, proxySocket)
  return server
}

/** Closes a server: open requests are answered; connections still open after `shutdownTimeout` are destroyed. `proxies`: also this one. */
export async function closeInTime(
  app: FastifyInstance,
  tls: MutualTls,
  sockets: ReadonlySet<Socket>,
  proxies?: Server,
): Promise<void> {
  // Node closes idle connections once when it closes; one that becomes idle later must not delay the end.
  const idle = setInterval(() => {
    app.server.closeIdleConnections()
    proxies?.closeIdleConnections()
  }, 100)
  const deadline = setTimeout(() => {
    for (const { socket } of tls.connections) socket.destroy()
    for (const socket of sockets) socket.destroy()
    proxies?.closeAllConnections()
  }, shutdownTimeout)
  const proxiesClosed = new Promise<void>(resolve =>
    proxies === undefined ? resolve() : proxies.close(() => resolve()),
  )
  try {
    await app.close()
    await proxiesClosed
  } finally {
    clearInterval(idle)
    clearTimeout(deadline)
  }
}
