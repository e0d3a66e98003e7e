// Connections of a `tls.Server` that mutualTls did not make: its own settings decide which client certificates are accepted.
import { constants } from 'node:crypto'
import type { Server, TLSSocket } from 'node:tls'
import { type Connection, connectionOf, rememberConnection } from './connection.ts'
import { createCounts } from './counts.ts'
import type { TrustInForce } from './evaluate-certificate.ts'
import { loadTrust } from './trust.ts'

/** What carries a connection: a request of HTTP/1.1 or HTTP/2, or an upgrade request. */
export interface ConnectionCarrier {
  readonly socket?: object | null
  readonly stream?: { readonly session?: { readonly socket?: object | null } | undefined } | undefined
}

/** OpenSSL judges by the authorities of that server. Nothing is known of them here, and no certificate is registered itself. */
const unknownTrust: TrustInForce = { trust: loadTrust([], []), isPinned: () => false }
const counts = createCounts()

/**
 * Returns the connection that a request came on: as mutualTls remembers it, or, on another `tls.Server`, read now. undefined: it
 * has no TLS connection that this process terminates. `onAdopt` receives the server at the first request of a connection.
 */
export function findConnection(
  request: ConnectionCarrier,
  onAdopt: (server: Server | undefined) => void,
): Connection | undefined {
  const known = connectionOf(request) ?? connectionOf(request.socket)
  if (known !== undefined) return known
  const socket = (request.stream?.session?.socket ?? request.socket) as
    | (TLSSocket & { server?: Server })
    | null
    | undefined
  if (socket?.encrypted !== true || typeof socket.getPeerX509Certificate !== 'function') return undefined
  // After a renegotiation the connection could have another certificate than the one that is remembered.
  socket.on('secure', () => socket.destroy())
  onAdopt(socket.server)
  return rememberConnection(socket, unknownTrust, counts)
}

/** Lists what is unsafe in the settings of a `tls.Server` of one's own, one sentence each. */
export function inspectTlsServer(server: Server): readonly string[] {
  const {
    requestCert,
    rejectUnauthorized,
    secureOptions = 0,
    minVersion,
  } = server as Server & {
    readonly requestCert?: boolean
    readonly rejectUnauthorized?: boolean
    readonly secureOptions?: number
    readonly minVersion?: string
  }
  const has = (option: number) => (secureOptions & option) !== 0
  return [
    requestCert !== true && 'requestCert is off, so that no client sends a certificate; set requestCert: true',
    requestCert === true &&
      rejectUnauthorized === false &&
      'rejectUnauthorized is off, so that other routes see clients whose certificates are not trusted',
    !has(constants.SSL_OP_NO_TICKET) &&
      'sessions can be resumed, which does not look at the client certificate again; set secureOptions: SSL_OP_NO_TICKET',
    minVersion !== 'TLSv1.3' &&
      !has(constants.SSL_OP_NO_RENEGOTIATION) &&
      'renegotiation is allowed on TLS 1.2; set minVersion: TLSv1.3, or secureOptions: SSL_OP_NO_RENEGOTIATION',
  ].filter(problem => problem !== false)
}
