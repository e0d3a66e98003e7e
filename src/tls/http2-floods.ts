// Limits HTTP/2 floods that do not count as concurrent streams: streams that the peer resets before the response (rapid reset,
// CVE-2023-44487), streams that Node resets after an invalid frame (CVE-2025-8671), and PING and SETTINGS frames, which must be
// acknowledged (CVE-2019-9512, CVE-2019-9515). A connection that exceeds the budget is closed. Node itself ends the other floods
// and the connections that break the protocol, without a word: this file tells of them too.
import {
  constants,
  type Http2SecureServer,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { malformed, type OAuthError } from '../core/errors.ts'
import { type Connection, connectionOf } from './connection.ts'

/**
 * The token bucket of a connection. The burst is twice the number of concurrent streams; without an accepted certificate it is smaller,
 * because each stream costs as much as a request, and its client cannot be disabled.
 */
export const floodBudget = { burst: 256, burstWithoutCertificate: 32, perSecond: 32 } as const

/**
 * The options of Node for resets of any kind, with those of streams that were answered before, which look like other answered ones here.
 * More than the budget, so that this file ends other floods, and says why.
 */
export const resetLimits = { streamResetBurst: 320, streamResetRate: 33 } as const

/** Milliseconds from GOAWAY until a connection that the peer did not close is destroyed. */
const linger = 1000

/** The sessions that this file ends. */
const flooded = new WeakSet<Http2Session>()

const advice = Buffer.from('too many streams were reset, or too many PING or SETTINGS frames were sent')

/** Closes connections that flood the server. Calls `onRefusal` for each, and for each that Node closes because of its frames. */
export function limitFloods(
  server: Http2SecureServer,
  onRefusal: (socket: TLSSocket, refusal: OAuthError) => void,
): void {
  server.on('session', session => {
    const connection = connectionOf(session)
    const socket = connection?.socket
    const burst = isAccepted(connection) ? floodBudget.burst : floodBudget.burstWithoutCertificate
    const refuse = (refusal: OAuthError) => socket !== undefined && onRefusal(socket, refusal)
    let left: number = burst
    let since = performance.now()
    const spend = (found: string) => {
      if (session.closed || session.destroyed) return
      const now = performance.now()
      left = Math.min(burst, left + ((now - since) / 1000) * floodBudget.perSecond) - 1
      since = now
      if (left >= 0) return
      flooded.add(session)
      endSession(session, socket)
      refuse(malformed('http2_flood', { found, limit: burst }))
    }
    const onStreamClose = function (this: ServerHttp2Stream) {
      // A peer can reset a stream with NO_ERROR too, which then is only aborted, or, for a HEAD request, has no response.
      if (this.rstCode !== constants.NGHTTP2_NO_ERROR || this.aborted || !this.headersSent) spend('stream resets')
    }
    session.on('stream', stream => stream.on('close', onStreamClose))
    session.on('ping', () => spend('PING frames'))
    session.on('remoteSettings', () => spend('SETTINGS frames'))
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (error.errno === callbackFailed)
        refuse(malformed('http2_flood', { found: 'frames that are empty, invalid or open too many streams' }))
      else if (error.code === 'ERR_HTTP2_ERROR' || error.code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES')
        refuse(malformed('http2_error', { found: error.message }))
    })
  })
}

/**
 * Passes the streams of a connection without an accepted certificate to the listeners of `request` when all that was read at once is
 * handled. A rapid reset sends HEADERS and RST_STREAM together, and a stream that is already reset costs no request then. Call it once
 * the server has a listener of `request`, because Node adds its own of `stream` with it.
 */
export function deferRequests(server: Http2SecureServer): void {
  const [serve, ...others] = server.listeners('stream')
  if (serve === undefined || others.length > 0) throw new Error('stream must have one listener, that of Node')
  server.removeListener('stream', serve as () => void)
  server.on('stream', (stream, ...head) => {
    const { session } = stream
    if (isAccepted(connectionOf(session))) return serve.call(server, stream, ...head)
    stream.on('error', ignore)
    let trailers: unknown[] | undefined
    stream.once('trailers', (...given) => {
      trailers = given
    })
    setImmediate(() => {
      if (stream.closed || stream.destroyed || (session !== undefined && flooded.has(session))) return
      serve.call(server, stream, ...head)
      if (trailers !== undefined) stream.emit('trailers', ...trailers) // the request had no listener yet
    })
  })
}

/** Until `serve` adds a listener: without one, a peer could end the process with the error code of a reset. */
function ignore(): void {}

function isAccepted(connection: Connection | undefined): boolean {
  return connection?.presenter !== undefined && connection.rejection === undefined
}

/** NGHTTP2_ERR_CALLBACK_FAILURE: a limit of Node's, such as `maxSessionRejectedStreams` and `maxSessionInvalidFrames`. */
const callbackFailed = -902

/**
 * Ends a session with GOAWAY and ENHANCE_YOUR_CALM (RFC 9113 §7). Closes it first, so that no stream begins. The socket is destroyed
 * later, because the peer would get a TCP reset instead of the GOAWAY.
 */
function endSession(session: ServerHttp2Session, socket: TLSSocket | undefined): void {
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, advice)
  session.close()
  stopReading(socket)
  // After queued frames are written. What the peer still sends is not read, so that it costs nothing.
  setImmediate(() => {
    session.destroy()
    socket?.pause()
  })
  setTimeout(() => socket?.destroy(), linger).unref()
}

/**
 * Stops reading from the kernel at once. Node reads 2 MB of a socket before anything else, up to 30 000 streams; `pause()` does not stop
 * that, because the HTTP/2 session reads from the handle.
 */
function stopReading(socket: object | undefined): void {
  const { _handle: handle } = (socket ?? {}) as { _handle?: { readStop?: () => void } | null }
  handle?.readStop?.()
}
