// Ends live connections after a change of whom the listener trusts, so that a new handshake judges their certificates: nothing
// but OpenSSL in a handshake can. Those that a list in force names are refused from then on, and closed at once. docs/reference/limits.md
// states the times.
import type { TLSSocket } from 'node:tls'
import type { Reason } from '../core/errors.ts'
import { type CertificateRejection, explainRevocation } from './certificate-rejection.ts'
import type { Connection } from './connection.ts'
import type { Trust } from './trust.ts'

export interface RetirementOptions {
  /** Seconds: each connection ends with its next answer from a moment of its own within these on. */
  readonly within: number
  /** Seconds after that moment at which it is closed without an answer. */
  readonly grace: number
  /** Seconds that a peer has to take what was written before its connection ended. */
  readonly linger: number
  /** Seconds after which a connection is closed whose certificate a list names; until then its requests are refused. */
  readonly revokedAfter: number
  /** Called before a connection is closed because its certificate was revoked. */
  readonly onClose: (socket: TLSSocket, reason: Reason) => void
  /** Called for what is thrown while a connection ends, which is then destroyed. Must not throw. */
  readonly onError: (error: Error, socket: TLSSocket) => void
}

/** How many connections a change ends. */
export interface Retired {
  /** Closed at once: a list names their certificate. */
  readonly revoked: number
  /** The others, which end within the stated time. */
  readonly retired: number
}

/**
 * Ends each of these connections as the trust demands that is in force now. One whose certificate is registered itself and
 * self-signed stays: its registration decides, at each request.
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

/** Connections that a change has told to end; `due`: those whose time is up, and that only wait for an answer under way. */
const ending = new WeakMap<Connection, 'told' | 'due'>()

function findFate({ presenter, rejection }: Connection, trust: Trust): Fate {
  // One without a certificate, too: some clients send theirs only if the server names its authority.
  if (presenter === undefined || rejection !== undefined) return 'at once'
  const { x509, pinned } = presenter.certificate
  try {
    const revocation = explainRevocation(x509, trust, Date.now())
    if (revocation !== undefined) return revocation
  } catch {
    return 'at once' // DER that only OpenSSL reads
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

/** Lets the next answer from `delay` milliseconds on end the connection; after the grace it is closed without one. */
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

/** Called when an answer over HTTP/1.1 has ended. */
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
