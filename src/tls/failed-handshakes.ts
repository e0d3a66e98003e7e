// Classifies failed handshakes by the received data, for the log and metrics: a wrong PROXY header of a load balancer, a client
// without TLS, or a client that does not trust the server certificate.
import type { Http2SecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { malformed, type OAuthError } from '../core/errors.ts'
import { type OctetKind, octetKinds, recognizeOctets } from './first-octets.ts'
import type { ProxiedPeers } from './proxied-peers.ts'

/** The causes of failed handshakes, with remedies. A closed list; the names are values of a metric label. */
export const handshakeFailures = {
  proxy_v1:
    'a PROXY protocol header, version 1, arrived where none is allowed: add the address of the load balancer to TLSBOUND_PROXY_PROTOCOL_FROM, or disable the header there',
  proxy_v2:
    'a PROXY protocol header, version 2, arrived where none is allowed: add the address of the load balancer to TLSBOUND_PROXY_PROTOCOL_FROM, or disable the header there',
  proxy_missing:
    'a connection from TLSBOUND_PROXY_PROTOCOL_FROM began without a PROXY protocol header: enable it in the load balancer, or remove the address from the setting',
  proxy_invalid:
    'a connection from TLSBOUND_PROXY_PROTOCOL_FROM began with an invalid PROXY protocol header: see found',
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
  /** Why a PROXY protocol header, or its absence, is refused; only if some peers must send one. */
  readonly refusal?: OAuthError | undefined
}

/**
 * Calls `onFailure` for each handshake of a server that fails, with its socket where it was one of TLS. To be called before anything else listens to its connections:
 * the first octets are read before TLS is, since OpenSSL tells nobody what they were. What is no TLS never reaches it.
 */
export function watchHandshakes(
  server: Http2SecureServer,
  onFailure: (failed: FailedHandshake, socket?: TLSSocket) => void,
  proxied?: ProxiedPeers,
): void {
  const startTls = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const fail = (failure: HandshakeFailure, refusal?: OAuthError) => {
      const { remoteAddress: peer, remotePort: peer_port } = socket
      onFailure({ failure, peer, peer_port, refusal })
    }
    const onSilence = () => fail('nothing')
    const begin = (octets: Buffer) => {
      const kind = recognizeOctets(octets)
      if (kind !== 'tls') {
        const isHeader = proxied !== undefined && (kind === 'proxy_v1' || kind === 'proxy_v2')
        fail(kind, isHeader ? malformed('proxy_header_not_allowed', { found: octetKinds[kind] }) : undefined)
        return void socket.destroy()
      }
      socket.unshift(octets)
      for (const listener of startTls) listener.call(server, socket)
    }
    const awaitTls = () => {
      socket.once('close', onSilence).once('readable', () => {
        const octets: Buffer | null = socket.read()
        if (octets === null) return void socket.destroy() // the connection has ended
        socket.off('close', onSilence)
        begin(octets)
      })
    }
    socket.on('error', ignore)
    if (proxied === undefined) return awaitTls()
    if (socket.remoteAddress === undefined) {
      onSilence() // it has ended: the health check of HAProxy sends its header and resets the connection
      return void socket.destroy()
    }
    if (!proxied.mustSendHeader(socket)) return awaitTls()
    proxied.readHeader(socket, {
      onHeader: rest => (rest === undefined ? awaitTls() : begin(rest)),
      onProblem(problem, octets, found = octetKinds[recognizeOctets(octets)]) {
        const detail = problem === 'missing' ? 'proxy_header_missing' : 'proxy_header_invalid'
        fail(`proxy_${problem}`, malformed(detail, { found }))
        socket.destroy()
      },
      onSilence,
    })
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    proxied?.adopt(socket)
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
  return ({ failure, refusal, ...facts }) => {
    if (failure === 'nothing') return
    const line = lines.get(failure) ?? { last: Number.NEGATIVE_INFINITY, count: 0 }
    lines.set(failure, line)
    line.count++
    if (monotonic() - line.last < pause) return
    log.warn(
      { failure, ...facts, ...refusal?.facts, count: line.count },
      `TLS handshake failed: ${handshakeFailures[failure]}`,
    )
    lines.set(failure, { last: monotonic(), count: 0 })
  }
}
