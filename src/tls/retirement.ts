// Ends open connections after a change of trust, because only OpenSSL can verify their certificates, in a new handshake. Requests
// with a revoked certificate are rejected at once, and their connection is closed. docs/reference/limits.md lists the times.
import type { TLSSocket } from 'node:tls'
import type { Reason } from '../core/errors.ts'
import { type CertificateRejection, explainRevocation } from './certificate-rejection.ts'
import type { Connection } from './connection.ts'
import type { Trust } from './trust.ts'

export interface RetirementOptions {
  /** Seconds: each connection closes with its next response after a random time within this limit. */
  readonly within: number
  /** Seconds after that time until the connection closes without a response. */
  readonly grace: number
  /** Seconds that a peer has to take what was written before its connection ended. */
  readonly linger: number
  /** Seconds until a connection with a revoked certificate is closed; until then its requests are rejected. */
  readonly revokedAfter: number
  /** Called before a connection is closed because its certificate was revoked. */
  readonly onClose: (socket: TLSSocket, reason: Reason) => void
  /** Called for an exception while a connection ends; the connection is destroyed. Must not throw. */
  readonly onError: (error: Error, socket: TLSSocket) => void
}

/** The numbers of connections that end. */
export interface Retired {
  /** Connections with a revoked certificate, which are closed at once. */
  readonly revoked: number
  /** All others. */
  readonly retired: number
}

/**
 * Ends connections according to the current trust. Connections with a registered self-signed certificate stay open, because their
 * registration is checked for each request.
 */
export function retireConnections(
  connections: Iterable<Connection>,
  trust: Trust,
  options: RetirementOptions,
): Retired {
  let [revoked, retired] = [0, 0]
  for (const connection of connections)
    guard(connection, options, () => {
      const fate = findFate(connection, trust)
      if (fate === 'stays') return
      if (fate !== 'soon' && fate !== 'at once') {
        revoked++
        connection.rejection = fate
        return closeRevoked(connection, options)
      }
      retired++
      retire(connection, fate === 'soon' ? Math.random() * options.within * 1000 : 0, options)
    })
  return { revoked, retired }
}

type Fate = 'stays' | 'soon' | 'at once' | CertificateRejection

/** Connections that are ending. `due`: the time has passed, and only a pending response is awaited. */
const ending = new WeakMap<Connection, 'told' | 'due'>()

function findFate({ presenter, rejection }: Connection, trust: Trust): Fate {
  // Also without a certificate, because some clients send theirs only if the server names its authority.
  if (presenter === undefined || rejection !== undefined) return 'at once'
  const { x509, pinned } = presenter.certificate
  try {
    const revocation = explainRevocation(x509, trust, Date.now())
    if (revocation !== undefined) return revocation
  } catch {
    return 'at once' // only OpenSSL can parse this DER
  }
  return pinned && x509.subject === x509.issuer ? 'stays' : 'soon'
}

function closeRevoked(connection: Connection, options: RetirementOptions): void {
  const { socket } = connection
  connection.endsAfter = 0
  after(options.revokedAfter * 1000, connection, options, () => {
    options.onClose(socket, 'certificate_revoked')
    socket.destroy()
  })
}

/** Closes the connection with the next response after `delay` milliseconds, or without a response after the grace period. */
function retire(connection: Connection, delay: number, options: RetirementOptions): void {
  connection.endsAfter = Math.min(connection.endsAfter, performance.now() + delay)
  if (ending.has(connection)) return // sooner
  ending.set(connection, 'told')
  after(delay + options.grace * 1000, connection, options, () => {
    if (connection.session !== undefined) connection.session.close()
    else if (connection.underWay === 0) endSoon(connection, options)
    else ending.set(connection, 'due')
  })
}

/** Ends a connection once all that was written is sent. No timeout of HTTP ends an upgraded one whose peer takes nothing. */
function endSoon(connection: Connection, options: RetirementOptions): void {
  connection.socket.destroySoon()
  after(options.linger * 1000, connection, options, () => connection.socket.destroy())
}

/** Called when an HTTP/1.1 response is complete. */
export function noteAnswered(connection: Connection): void {
  connection.underWay--
  if (connection.underWay === 0 && ending.get(connection) === 'due') connection.socket.destroySoon()
}

function after(milliseconds: number, connection: Connection, options: RetirementOptions, work: () => void): void {
  const timer = setTimeout(() => guard(connection, options, work), milliseconds).unref()
  connection.socket.once('close', () => clearTimeout(timer))
}

function guard({ socket }: Connection, { onError }: RetirementOptions, work: () => void): void {
  try {
    work()
  } catch (error) {
    socket.destroy()
    onError(error as Error, socket)
  }
}
