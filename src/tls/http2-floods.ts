// What a peer can do over HTTP/2 that costs the server something and asks for nothing: streams that it resets before their
// answer (rapid reset, CVE-2023-44487), or that it makes Node reset by a frame that breaks the protocol (CVE-2025-8671), and
// PING and SETTINGS frames, each of which has to be acknowledged (CVE-2019-9512, CVE-2019-9515). None of it counts against the
// limit of concurrent streams. A connection with too much of it over time ends. Other floods are ended by Node itself.
import { constants, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { connectionOf } from './connection.ts'

/** How much of it a connection may do at once, which is twice as many as it may have requests under way, and what it earns back. */
export const floodBudget = { burst: 256, perSecond: 32 } as const

/** Milliseconds from its GOAWAY until a connection that the peer has not closed is cut. */
const linger = 1000

const advice = Buffer.from('too many streams were reset, or too many PING or SETTINGS frames were sent')

/** Ends connections that flood the server; `onFlood` is called with the socket of each, and with what was too much at last. */
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
 * Ends a session with GOAWAY and ENHANCE_YOUR_CALM (RFC 9113 §7). It is closed first, so that no further stream begins and
 * that Node reads on until the peer has closed: else the peer would see a TCP reset in place of the GOAWAY.
 */
function endSession(session: ServerHttp2Session, socket: TLSSocket | undefined): void {
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, advice)
  session.close()
  setImmediate(() => session.destroy()) // once what is queued is written
  setTimeout(() => socket?.destroy(), linger).unref()
}
