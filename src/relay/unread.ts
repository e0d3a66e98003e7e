// Answers before a body was read. A connection that is closed while octets of the client are unread is reset, and a client that is
// still sending loses the response (RFC 9112 §9.6). So the rest is read and dropped for a while.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough, type Readable } from 'node:stream'
import { guarded } from '../core/guard.ts'

/** How much is read after the response, in octets, and for how long, in milliseconds. */
export const unreadLimits = { octets: 16_777_216, time: 5000 }

/** Milliseconds between two comparisons with the limits. */
const interval = 50

const closing = new WeakSet<object>()

/** Returns whether a connection ends after a response: requests that follow are not answered. */
export function isClosing(socket: object): boolean {
  return closing.has(socket)
}

/** Ends the connection with this response if more of the request's body is coming. */
export function endWithBody(request: IncomingMessage, response: ServerResponse): void {
  const { complete, headers, socket } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody || complete) return
  response.shouldKeepAlive = false
  socket.destroySoon = () => closeAfterReading(socket, request) // Node calls it when the response is sent
}

/**
 * Ends a connection with what was written. `unread`: where its octets arrive, which are dropped until the client has sent all, or a
 * limit is reached.
 */
export function closeAfterReading(socket: Socket, unread: Readable = socket): void {
  if (closing.has(socket)) return
  closing.add(socket)
  const { bytesRead } = socket
  const since = performance.now()
  const compare = () => {
    if (socket.bytesRead - bytesRead > unreadLimits.octets || performance.now() - since > unreadLimits.time)
      socket.destroy()
  }
  const timer = setInterval(compare, interval).unref()
  socket.once('close', () => clearInterval(timer))
  const destroy = () => void socket.destroy()
  const finish = () => void (socket.writableFinished ? destroy() : socket.once('finish', destroy))
  socket.end()
  unread.unpipe()
  unread.resume().once('close', finish)
  unread.once('end', finish)
  if (unread.readableEnded || unread.destroyed) finish()
}

/** Returns a body as a stream of its own: undici destroys a body that it cannot send, and the connection must not go with it. */
export function separateBody(request: Readable, onData: (length: number) => void = () => {}): Readable {
  const body = new PassThrough()
  request.on('data', (chunk: Buffer) => onData(chunk.length))
  request.once('error', error => body.destroy(error))
  request.once('aborted', () => body.destroy(new Error('aborted')))
  body.on(
    'error',
    guarded(
      () => request.unpipe(body),
      () => {},
    ),
  )
  return request.pipe(body)
}
