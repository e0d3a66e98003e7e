// Timeouts for slow peers: an incomplete request body, or a response that the peer does not read. Node limits only the time to
// receive an HTTP/1.1 request. A peer that waits for a response never times out.
import type { IncomingMessage, Server } from 'node:http'
import type { Http2SecureServer, Http2ServerRequest, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import { Socket } from 'node:net'
import { connectionOf } from './connection.ts'

export interface Timeouts {
  /** Seconds from the first to the last octet of a request. */
  readonly request: number
  /** Seconds after which a connection is closed that is silent between requests, or whose peer does not read. */
  readonly idle: number
}

/** HTTP/2 streams, and sockets of HTTP/1.1 connections, whose request may take longer than `Timeouts.request`. */
const slow = new WeakSet<object>()

/** Exempts the body of a request from the timeout of a whole request. The caller must require progress. */
export function allowSlowBody(request: IncomingMessage): void {
  const carrier = (request as unknown as Partial<Http2ServerRequest>).stream ?? request.socket
  slow.add(carrier)
  request.once('close', () => slow.delete(carrier))
}

/** Returns whether the request under way on an HTTP/1.1 connection may take longer. */
export function isSlowBodyAllowed(socket: object): boolean {
  return slow.has(socket)
}

/** Closes streams and connections of slow peers. */
export function enforceTimeouts(server: Http2SecureServer | Server, limits: Timeouts): void {
  const during = limits.idle * 1000
  server.setTimeout(during)
  const onTimeout = (peer: Socket | ServerHttp2Session) => {
    // An app can set one for a session. A socket has this timeout during a request; between requests Node sets another one.
    if (!(peer instanceof Socket)) peer.close()
    else if (peer.timeout !== during || peer.writableLength > 0) peer.destroy()
  }
  server.on('timeout', onTimeout as () => void)
  server.on('session', session => watchSession(session, limits))
}

/** The state of a stream: when it was opened, the unread octets of its response, and the time of their last change. */
interface Watched {
  readonly opened: number
  waiting: number
  since: number
}

/**
 * Checks a connection and its streams at intervals, so that they do not need a timer each. A session that has ended stays until its socket
 * closes, which Node leaves to the peer: a slow one may still read the last response.
 */
function watchSession(session: ServerHttp2Session, { request, idle }: Timeouts): void {
  session.setTimeout(0) // Node would not clear its own timer when the session is destroyed, and keep the session until then
  const socket = connectionOf(session)?.socket
  const streams = new Map<ServerHttp2Stream, Watched>()
  const forget = function (this: ServerHttp2Stream) {
    streams.delete(this)
  }
  session.on('stream', stream => {
    const now = performance.now()
    streams.set(stream, { opened: now, waiting: 0, since: now })
    stream.on('close', forget)
  })
  let octets = 0
  let changed = performance.now()
  const look = () => {
    const now = performance.now()
    for (const [stream, watched] of streams) {
      const { writableLength: waiting, readableEnded, endAfterHeaders } = stream
      if (!endAfterHeaders && !readableEnded && !slow.has(stream) && now - watched.opened > request * 1000)
        stream.close(constants.NGHTTP2_CANCEL)
      if (waiting === 0 || waiting !== watched.waiting) Object.assign(watched, { waiting, since: now })
      else if (now - watched.since > idle * 1000) socket?.destroy() // otherwise Node would wait until the unread octets are written
    }
    const count = (socket?.bytesRead ?? 0) + (socket?.bytesWritten ?? 0)
    if (count !== octets) [octets, changed] = [count, now]
    else if (now - changed <= idle * 1000) return
    else if (session.destroyed) socket?.destroy()
    else session.close()
  }
  const timer = setInterval(look, (Math.min(request, idle) * 1000) / 4).unref()
  session.once('close', () => clearInterval(timer))
}
