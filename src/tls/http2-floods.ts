// Limits HTTP/2 floods that do not count as concurrent streams: streams that the peer resets before the response (rapid reset,
// CVE-2023-44487), streams that Node resets after an invalid frame (CVE-2025-8671), and PING and SETTINGS frames, which must be
// acknowledged (CVE-2019-9512, CVE-2019-9515). A connection that exceeds the budget is closed. Node itself stops other floods.
import { constants, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { connectionOf } from './connection.ts'

/** The token bucket of a connection. The burst is twice the number of concurrent streams. */
export const floodBudget = { burst: 256, perSecond: 32 } as const

/** Milliseconds from GOAWAY until a connection that the peer did not close is destroyed. */
const linger = 1000

const advice = Buffer.from('too many streams were reset, or too many PING or SETTINGS frames were sent')

/** Closes connections that flood the server. Calls `onFlood` with the socket and the kind of the last frame. */
export function limitFloods(server: Http2SecureServer, onFlood?: (socket: TLSSocket, found: string) => void): void {
  server.on('session', session => {
    let left: number = floodBudget.burst
    let since = performance.now()
    const spend = (found: string) => {
      if (session.closed || session.destroyed) return
      const now = performance.now()
      left = Math.min(floodBudget.burst, left + ((now - since) / 1000) * floodBudget.perSecond) - 1
      since = now
      if (left >= 0) return
      const socket = connectionOf(session.socket)?.socket
      endSession(session, socket)
      if (socket !== undefined) onFlood?.(socket, found)
    }
    session.on('stream', stream =>
      stream.once('close', () => {
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) spend('stream resets')
      }),
    )
    session.on('ping', () => spend('PING frames'))
    session.on('remoteSettings', () => spend('SETTINGS frames'))
  })
}

/**
 * Ends a session with GOAWAY and ENHANCE_YOUR_CALM (RFC 9113 §7). Closes it before destroying it, so that no stream begins and Node
 * continues to read until the peer closes. Otherwise the peer would get a TCP reset instead of the GOAWAY.
 */
function endSession(session: ServerHttp2Session, socket: TLSSocket | undefined): void {
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, advice)
  session.close()
  setImmediate(() => session.destroy()) // after queued frames are written
  setTimeout(() => socket?.destroy(), linger).unref()
}
