// The local sidecar: programs speak plain HTTP to it, and it speaks to one upstream, with the key, the connections, the
// tokens and the proofs that they then need not have (draft-mw-oauth-tls-session-bound-tokens, appendix B).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { answer, answerBytes, answerFailure } from './sidecar/answer.ts'
import { failures, readParserError } from './sidecar/failures.ts'
import { forward } from './sidecar/forward.ts'
import { type Listen, listen } from './sidecar/listen.ts'
import { readRequest } from './sidecar/request.ts'

export type { Listen } from './sidecar/listen.ts'

export interface SidecarOptions {
  /** What speaks to the upstream, as `createClient` makes it. The sidecar closes it. */
  readonly client: SidecarClient
  readonly listen: Listen
  /** What becomes of a program's own Authorization header: it is removed (the default), or the request is refused. */
  readonly authorization?: 'remove' | 'refuse'
  /** Seconds within which the upstream must go on taking a request, and then begin to answer it. Default 60. */
  readonly timeout?: number
}

export interface SidecarClient {
  readonly dispatcher: Dispatcher
  /** What a status page may show: no token, no key. */
  state(): object
  close(): Promise<void>
}

export interface Sidecar {
  /** Where it listens: `unix:PATH` or `http://127.0.0.1:PORT`. */
  readonly address: string
  /** Lets in nobody any more, gives requests under way these seconds to end, and closes the client. Default 8. */
  close(seconds?: number): Promise<void>
}

/** Whatever programs do, memory and descriptors stay bounded: one too many is told to wait, or not let in. `head`: seconds. */
const limits = { requests: 256, connections: 1024, head: 10 }

/** Starts a sidecar. Rejects with one sentence when it cannot listen. */
export async function startSidecar({ client, timeout = 60, ...options }: SidecarOptions): Promise<Sidecar> {
  const rules = { onPort: 'port' in options.listen, refuseToken: options.authorization === 'refuse' }
  const started = performance.now()
  const connections = new Set<Socket>()
  const underWay = new Set<ServerResponse>()
  let closing: Promise<void> | undefined

  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (closing !== undefined) response.shouldKeepAlive = false
    const asked = readRequest(request, rules)
    if ('error' in asked) return answerFailure(response, asked)
    if (asked.path === '/_status') {
      if (request.method !== 'GET' && request.method !== 'HEAD') return answerFailure(response, failures.statusIsRead)
      const uptime = Math.floor((performance.now() - started) / 1000)
      return answer(response, 200, { uptime, requests_under_way: underWay.size, client: client.state() })
    }
    if (underWay.size >= limits.requests) return answerFailure(response, failures.busy)
    underWay.add(response)
    response.once('close', () => {
      underWay.delete(response)
      if (closing !== undefined) server.closeIdleConnections()
    })
    void forward(request, response, { dispatcher: client.dispatcher, path: asked.path, timeout })
  }

  // A body may take as long as it likes; its head may not, and that has to be said: Node knows no deadline for it then.
  const deadlines = { requestTimeout: 0, headersTimeout: limits.head * 1000, connectionsCheckingInterval: 1000 }
  const server = createServer({ ...deadlines, requireHostHeader: false }, serve)
  server.maxConnections = limits.connections
  server.on('connection', socket => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  server.on('connect', (_request, socket) => answerBytes(socket, failures.noTunnel))
  server.on('checkExpectation', (_request, response) => answerFailure(response, failures.expectation))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const begun = [...underWay].some(response => response.socket === socket && response.headersSent)
    if (begun) socket.destroy()
    else answerBytes(socket, readParserError(error))
  })

  const end = async (seconds: number) => {
    const closed = new Promise(done => server.close(done))
    const busy = new Set([...underWay].map(({ socket }) => socket))
    for (const socket of connections) if (!busy.has(socket)) socket.destroy() // also those that have never said a word
    for (const response of underWay) response.shouldKeepAlive = false
    const deadline = setTimeout(() => server.closeAllConnections(), seconds * 1000)
    await closed
    clearTimeout(deadline)
    await client.close()
  }
  return {
    address: await listen(server, options.listen),
    close(seconds = 8) {
      closing ??= end(seconds)
      return closing
    },
  }
}
