// WebSockets: an upgrade request is verified like any other, and then octets pass in both directions. A tunnel ends with its token.
import { type IncomingMessage, type ServerResponse, STATUS_CODES, request as sendRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import { guarded } from '../core/guard.ts'
import { mostInterim } from '../outgoing/request.ts'
import { connectionFields, readNominated, writeAnswerHead } from '../relay/connection-fields.ts'
import type { RelayFailure } from '../relay/relay.ts'

/** Returns whether a request asks for a WebSocket (RFC 6455 §4.1). Any other Upgrade field is ignored (RFC 9110 §7.8). */
export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['transfer-encoding'] === undefined &&
    headers['content-length'] === undefined
  )
}

export interface Upgrade {
  readonly connect: () => Promise<Duplex>
  readonly path: string
  /** Names and values, alternating. */
  readonly headers: string[]
  /** Seconds until the upstream must have answered. */
  readonly timeout: number
  /** Called once, when the upstream has answered or is given up. */
  readonly onSettled: () => void
  /** Called when octets begin to pass, with a function that ends the tunnel. */
  readonly onOpen: (end: () => void) => void
  /** Called when the tunnel has ended, if it was open. */
  readonly onEnd: () => void
  /** Called at most once, before anything was sent to the client. */
  readonly onFailure: (failure: RelayFailure, error?: Error) => void
}

/** Milliseconds that the other end has to take what was written before one end has closed. */
const linger = 2000

/** Asks the upstream for a WebSocket, and connects both. Never throws. */
export function upgrade(client: Duplex, response: ServerResponse, options: Upgrade): void {
  const { connect, path, headers, timeout, onSettled, onFailure } = options
  let over = false
  let upstream: Duplex | undefined
  const settle = () => {
    over = true
    clearTimeout(timer)
    client.off('close', onGone)
    onSettled()
  }
  const giveUp = (failure: RelayFailure, error?: Error) => {
    upstream?.destroy()
    if (over) return
    settle()
    onFailure(failure, error)
  }
  const fail = (error: Error) => giveUp('failed', error)
  const onGone = () => giveUp('gone')
  const timer = setTimeout(() => giveUp('no_response'), timeout * 1000)
  client.once('close', onGone)

  const ask = (socket: Duplex) => {
    upstream = socket
    if (over) return void socket.destroy()
    let interim = 0
    const asked = sendRequest({ createConnection: () => socket, method: 'GET', path, headers, setHost: false })
    asked.on('error', fail)
    asked.on('information', () => {
      if (++interim > mostInterim) giveUp('unfit')
    })
    asked.on(
      'response',
      guarded((answer: IncomingMessage) => {
        if (over) return
        response.shouldKeepAlive = false
        if (!writeAnswerHead(response, answer.statusCode ?? 502, answer.headers)) return giveUp('unfit')
        settle()
        pipeline(answer, response, () => socket.destroy()) // a truncated answer destroys the response
      }, fail),
    )
    asked.on(
      'upgrade',
      guarded((answer: IncomingMessage, socket: Duplex, first: Buffer) => {
        if (over) return void socket.destroy()
        if (answer.headers.upgrade?.toLowerCase() !== 'websocket') return giveUp('unfit')
        settle()
        const end = join(client, socket, options.onEnd)
        // From here on, Node writes nothing to the connection, and the listener counts the request as answered.
        response.detachSocket(client as never)
        response.emit('close')
        client.write(renderHead(answer), 'latin1')
        if (first.length > 0) client.write(first)
        options.onOpen(end)
        socket.pipe(client)
        client.pipe(socket)
      }, fail),
    )
    asked.end()
  }
  connect().then(guarded(ask, fail), fail)
}

/** Ends each side with the other. Returns a function that ends both. */
function join(client: Duplex, upstream: Duplex, onEnd: () => void): () => void {
  let ended = false
  const end = () => {
    client.destroy()
    upstream.destroy()
    if (ended) return
    ended = true
    onEnd()
  }
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', end)
    one.once('close', end)
    one.once('end', () => {
      other.end()
      setTimeout(end, linger).unref()
    })
  }
  return end
}

function renderHead({ statusCode = 101, rawHeaders, headers }: IncomingMessage): string {
  const nominated = readNominated(headers.connection)
  const lines = [`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}`, 'Connection: Upgrade', 'Upgrade: websocket']
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase()
    if (!connectionFields.includes(name) && !nominated.has(name))
      lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}
