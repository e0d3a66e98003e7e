// A proxy on the same machine that ends TLS for its clients, and connects by a socket file. Who can open the file is that proxy: the
// rights of its folder decide that (process/proxy-socket.ts). Its requests are those of the listener, with a connection of their own.
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Connection, keepConnection, unused } from './connection.ts'
import type { VersionCounts } from './counts.ts'
import { enforceTimeouts, type Timeouts } from './timeouts.ts'

/** Seconds. */
export interface SocketTimeouts extends Timeouts {
  readonly headers: number
}

/** Events of requests. What has no listener on the TLS server is left to Node. */
const passed = ['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect', 'clientError'] as const

/** Creates a server in plain HTTP/1.1 whose requests are those of `main`, as requests of the proxy. The caller listens and closes. */
export function createProxyServer(main: Server, counts: VersionCounts, timeouts: SocketTimeouts): Server {
  const server = createServer({
    headersTimeout: timeouts.headers * 1000,
    requestTimeout: timeouts.request * 1000,
    keepAliveTimeout: timeouts.idle * 1000,
    connectionsCheckingInterval: 2000,
    requireHostHeader: false,
  })
  server.on('connection', socket => {
    counts.opened++
    keepConnection(socket, buildConnection(socket, counts))
  })
  for (const event of passed)
    if (main.listenerCount(event) > 0) server.on(event, (...given: unknown[]) => void main.emit(event, ...given))
  const { shouldUpgradeCallback } = main as unknown as { readonly shouldUpgradeCallback?: () => boolean }
  Object.assign(server, { shouldUpgradeCallback })
  enforceTimeouts(server, timeouts)
  return server
}

/** The socket has no certificate: what the proxy states is the only one. */
function buildConnection(socket: Socket, counts: VersionCounts): Connection {
  return {
    socket: socket as TLSSocket,
    presenter: undefined,
    thumbprint: undefined,
    rejection: undefined,
    isPinned: () => false,
    counts,
    openedAt: performance.now(),
    endsAfter: Number.POSITIVE_INFINITY,
    ...unused,
    isProxySocket: true,
  }
}
