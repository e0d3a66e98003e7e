// Classifies failed handshakes by the received data, for the log and metrics: a load balancer that sends PROXY headers, a client
// without TLS, or a client that does not trust the server certificate.
import type { Http2SecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type OctetKind, recognizeOctets } from './first-octets.ts'

/** The causes of failed handshakes, with remedies. A closed list; the names are values of a metric label. */
export const handshakeFailures = {
  proxy_v1:
    'a PROXY protocol header, version 1, arrived: disable it in the load balancer, because this port does not support it',
  proxy_v2:
    'a PROXY protocol header, version 2, arrived: disable it in the load balancer, because this port does not support it',
  http: 'an HTTP request without TLS arrived: use https',
  http2: 'an HTTP/2 request without TLS arrived: use https',
  ssh: 'an SSH client connected: check the port',
  tls_version: 'the client offers only TLS versions that are too old: check TLSBOUND_TLS_MIN_VERSION',
  tls_alert: 'the client sent an alert: see the code; it may not trust the certificate of this server',
  tls: 'OpenSSL rejected the handshake: see the code',
  cut: 'the client closed the connection during the handshake, or timed out: it may not trust the certificate of this server',
  unknown: 'data that is not TLS arrived',
  nothing: 'the connection ended before its first octet, as the health check of a load balancer does',
} as const satisfies Record<OctetKind, string> & Record<string, string>

export type HandshakeFailure = keyof typeof handshakeFailures

export interface FailedHandshake {
  readonly failure: HandshakeFailure
  /** The error code of OpenSSL or Node. */
  readonly code?: string | undefined
  readonly peer: string | undefined
  readonly peer_port: number | undefined
}

/**
 * Calls `onFailure` for each handshake of a server that fails, with its socket where it was one of TLS. To be called before anything else listens to its connections:
 * the first octets are read before TLS is, since OpenSSL tells nobody what they were. What is no TLS never reaches it.
 */
export function watchHandshakes(
  server: Http2SecureServer,
  onFailure: (failed: FailedHandshake, socket?: TLSSocket) => void,
): void {
  const startTls = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const { remoteAddress: peer, remotePort: peer_port } = socket
    const fail = (failure: HandshakeFailure) => onFailure({ failure, peer, peer_port })
    const onSilence = () => fail('nothing')
    socket.on('error', ignore).once('close', onSilence)
    socket.once('readable', () => {
      const octets: Buffer | null = socket.read()
      if (octets === null) return void socket.destroy() // the connection has ended
      socket.off('close', onSilence)
      const kind = recognizeOctets(octets)
      if (kind !== 'tls') {
        fail(kind)
        return void socket.destroy()
      }
      socket.unshift(octets)
      for (const listener of startTls) listener.call(server, socket)
    })
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const { remoteAddress: peer, remotePort: peer_port } = socket
    onFailure({ failure: classify(error.code ?? ''), code: error.code, peer, peer_port }, socket)
  })
}

/** Shared by all connections, so that a connection does not retain a closure. */
function ignore(): void {}

function classify(code: string): HandshakeFailure {
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'cut'
  if (/UNSUPPORTED_PROTOCOL|UNKNOWN_PROTOCOL|VERSION_TOO_LOW/.test(code)) return 'tls_version'
  return /_ALERT_/.test(code) ? 'tls_alert' : 'tls'
}

/** Milliseconds between two log lines for the same failure. */
const pause = 60_000

/** The required part of a logger. */
export interface HandshakeLog {
  warn(facts: object, text: string): void
}

/**
 * Logs failed handshakes: the first of each failure, then at most one line per minute with the number since the last line.
 * `monotonic` is in milliseconds. Connections that end without an octet are not logged.
 */
export function createHandshakeLog(log: HandshakeLog, monotonic: () => number): (failed: FailedHandshake) => void {
  const lines = new Map<HandshakeFailure, { last: number; count: number }>()
  return ({ failure, ...facts }) => {
    if (failure === 'nothing') return
    const line = lines.get(failure) ?? { last: Number.NEGATIVE_INFINITY, count: 0 }
    lines.set(failure, line)
    line.count++
    if (monotonic() - line.last < pause) return
    log.warn({ failure, ...facts, count: line.count }, `TLS handshake failed: ${handshakeFailures[failure]}`)
    lines.set(failure, { last: monotonic(), count: 0 })
  }
}
