// Connections of a `tls.Server` that mutualTls did not create. The settings of that server decide which client certificates are
// accepted.
import { constants } from 'node:crypto'
import { Server, type TLSSocket } from 'node:tls'
import { type Connection, type ConnectionCarrier, connectionOf, rememberConnection, socketOf } from './connection.ts'
import { createCounts } from './counts.ts'
import type { TrustInForce } from './evaluate-certificate.ts'
import { loadTrust } from './trust.ts'

/** OpenSSL verifies with the authorities of that server, which are unknown here. No certificates are registered. */
const unknownTrust: TrustInForce = { trust: loadTrust([], []), isPinned: () => false }
const counts = createCounts()

/**
 * Returns the connection of a request: stored by mutualTls or, for another `tls.Server`, read now. Returns undefined if no TLS
 * connection is terminated here. Calls `onAdopt` with the server for the first request of a connection.
 */
export function findConnection(
  request: ConnectionCarrier,
  onAdopt: (server: Server | undefined) => void,
): Connection | undefined {
  const known = connectionOf(request) ?? connectionOf(request.socket)
  if (known !== undefined) return known
  const socket = socketOf(request) as (TLSSocket & { server?: Server }) | null | undefined
  if (socket?.encrypted !== true || typeof socket.getPeerX509Certificate !== 'function') return undefined
  // After a renegotiation, the certificate of the connection could differ from the stored one.
  socket.on('secure', () => socket.destroy())
  onAdopt(socket.server)
  return rememberConnection(socket, unknownTrust, counts)
}

/** Finds insecure settings of the server of a connection; returns one sentence for each. */
export function inspectTlsServer(server: object): readonly string[] {
  // A `tls.Server` that passes its connections to an `http.Server` is no longer known.
  if (!(server instanceof Server))
    return [
      'the settings of this TLS server cannot be read, because another server reads its connections; it needs requestCert: true, rejectUnauthorized: true, minVersion: TLSv1.3 and secureOptions: SSL_OP_NO_TICKET',
    ]
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
    requestCert !== true && 'requestCert is off, so no client sends a certificate; set requestCert: true',
    requestCert === true &&
      rejectUnauthorized === false &&
      'rejectUnauthorized is off, so other routes accept clients with untrusted certificates; set rejectUnauthorized: true',
    !has(constants.SSL_OP_NO_TICKET) &&
      'sessions can be resumed without verifying the client certificate again; set secureOptions: SSL_OP_NO_TICKET',
    minVersion !== 'TLSv1.3' &&
      !has(constants.SSL_OP_NO_RENEGOTIATION) &&
      'renegotiation is allowed on TLS 1.2; set minVersion: TLSv1.3, or secureOptions: SSL_OP_NO_RENEGOTIATION',
  ]
    .filter(problem => problem !== false)
    .map(problem => `this TLS server is unsafe: ${problem}`)
}
