// The local sidecar: accepts plain HTTP from programs, and talks to one upstream with its own key, connections, tokens
// and proofs (draft-mw-oauth-tls-session-bound-tokens, appendix B).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { guarded } from '../core/guard.ts'
import { isClosing } from '../relay/unread.ts'
import { answer, answerBytes, answerFailure, answerText } from './answer.ts'
import { failures, readParserError } from './failures.ts'
import { forward } from './forward.ts'
import { type Listen, listen } from './listen.ts'
import { renderMetrics } from './metrics.ts'
import { readRequest } from './request.ts'
import { createStateWatch } from './watch.ts'

export type { Listen } from './listen.ts'

export interface SidecarOptions {
  /** The client for the upstream, from `createClient`. The sidecar closes it. */
  readonly client: SidecarClient
  readonly listen: Listen
  /** Whether to remove a program's own Authorization header (default), or to reject the request. */
  readonly authorization?: 'remove' | 'refuse'
  /** Receives a line for each unexpected error. Default: none. */
  readonly log?: (line: string) => void
  /** Receives a line for each change of the state, and warnings about the end of the certificate. Default: none. */
  readonly onChange?: (line: string) => void
  /** Seconds without progress in sending a request or waiting for its response. Default 60. */
  readonly timeout?: number
}

export interface SidecarClient {
  readonly dispatcher: Dispatcher
  /** The state for a status page: no token, no key. */
  state(): object
  close(): Promise<void>
}

export interface Sidecar {
  /** The address: `unix:PATH` or `http://127.0.0.1:PORT`. */
  readonly address: string
  /** Accepts no more requests, waits these seconds for those under way, and closes the client. Default 8. */
  close(seconds?: number): Promise<void>
}

/** Bounds memory and descriptors: excess requests get 503, excess connections are refused. `head`: seconds. */
const limits = { requests: 256, connections: 1024, head: 10 }

/** Milliseconds between two comparisons of the state, for the log. */
const watchInterval = 1000

/** Starts a sidecar. Rejects with a one-line error when it cannot listen. */
export async function startSidecar({
  client,
  timeout = 60,
  log = () => {},
  ...options
}: SidecarOptions): Promise<Sidecar> {
  const rules = { onPort: 'port' in options.listen, refuseToken: options.authorization === 'refuse' }
  const started = performance.now()
  const connections = new Set<Socket>()
  const underWay = new Set<ServerResponse>()
  let closing: Promise<void> | undefined
  let watch: NodeJS.Timeout | undefined

  const onError = ({ stack, message }: Error) =>
    log(`unexpected error, closing its request or connection: ${stack ?? message}`)
  /** An exception in a listener ends only its own connection. */
  const forSocket = <Given extends readonly unknown[]>(listener: (...given: Given) => void, at: number) => {
    return (...given: Given) =>
      guarded(listener, error => {
        onError(error)
        ;(given[at] as Duplex).destroy()
      })(...given)
  }

  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (isClosing(request.socket)) return // it came with the rest of a body that is dropped
    if (closing !== undefined) response.shouldKeepAlive = false
    const asked = readRequest(request, rules)
    if ('error' in asked) return answerFailure(response, asked)
    if (asked.path === '/_status' || asked.path === '/_metrics') {
      if (request.method !== 'GET' && request.method !== 'HEAD') return answerFailure(response, failures.statusIsRead)
      const uptime = Math.floor((performance.now() - started) / 1000)
      const state = client.state()
      if (asked.path === '/_metrics')
        return answerText(response, renderMetrics({ uptime, underWay: underWay.size, state }))
      return answer(response, 200, { uptime, requests_under_way: underWay.size, client: state })
    }
    if (underWay.size >= limits.requests) return answerFailure(response, failures.busy)
    underWay.add(response)
    const onClose = () => {
      underWay.delete(response)
      if (closing !== undefined) server.closeIdleConnections()
    }
    response.once('close', guarded(onClose, onError))
    forward(request, response, { dispatcher: client.dispatcher, path: asked.path, timeout, onError })
  }
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const fail = (error: Error) => {
      onError(error)
      if (response.headersSent) response.destroy()
      else
        guarded(
          () => answerFailure(response, failures.internal),
          () => response.destroy(),
        )()
    }
    guarded(serve, fail)(request, response)
  }

  // Bodies have no deadline, but heads do. Without a body deadline, Node needs the head deadline set explicitly.
  const deadlines = { requestTimeout: 0, headersTimeout: limits.head * 1000, connectionsCheckingInterval: 1000 }
  const server = createServer({ ...deadlines, requireHostHeader: false }, onRequest)
  server.maxConnections = limits.connections
  const onConnection = (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  }
  const onConnect = (_request: IncomingMessage, socket: Socket) => answerBytes(socket, failures.noTunnel)
  const onExpectation = (_request: IncomingMessage, response: ServerResponse) =>
    answerFailure(response, failures.expectation)
  const onClientError = (error: NodeJS.ErrnoException, socket: Socket) => {
    const begun = [...underWay].some(response => response.socket === socket && response.headersSent)
    if (begun) socket.destroy()
    else answerBytes(socket, readParserError(error))
  }
  server.on('connection', forSocket(onConnection, 0))
  server.on('connect', forSocket(onConnect, 1))
  server.on('checkExpectation', forSocket(onExpectation, 1))
  server.on('clientError', forSocket(onClientError, 1))
  const end = async (seconds: number) => {
    clearInterval(watch)
    const closed = new Promise(done => server.close(done))
    const busy = new Set([...underWay].map(({ socket }) => socket))
    for (const socket of connections) if (!busy.has(socket)) socket.destroy() // including those without a request
    for (const response of underWay) response.shouldKeepAlive = false
    const deadline = setTimeout(() => server.closeAllConnections(), seconds * 1000)
    await closed
    clearTimeout(deadline)
    await client.close()
  }
  const address = await listen(server, options.listen)
  watch = options.onChange && watchState(client, options.onChange, onError)
  server.on('error', onError) // for example, out of file descriptors
  return {
    address,
    close(seconds = 8) {
      closing ??= end(seconds)
      return closing
    },
  }
}

/** Starts to compare the state of a client. A failure is reported once, until it succeeds again. */
function watchState(
  client: SidecarClient,
  onChange: (line: string) => void,
  onError: (error: Error) => void,
): NodeJS.Timeout {
  const observe = createStateWatch(onChange)
  let isFailing = false
  const compare = () => {
    observe(client.state(), Date.now())
    isFailing = false
  }
  const fail = (error: Error) => {
    if (!isFailing) onError(error)
    isFailing = true
  }
  return setInterval(guarded(compare, fail), watchInterval).unref()
}
