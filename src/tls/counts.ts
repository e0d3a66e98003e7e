// Counters of a listener for things without a security event. They are plain numbers, so that counting costs a request nothing;
// metrics read them on demand.
import type { TokenBinding } from '../core/confirmation.ts'
import { type HandshakeFailure, handshakeFailures } from './failed-handshakes.ts'

/** Counters of connections with one TLS version. */
export interface VersionCounts {
  /** Successful handshakes. */
  opened: number
  /** Requests with a valid token, by level. */
  readonly accepted: Record<TokenBinding, number>
}

export interface Counts {
  readonly 'TLSv1.2': VersionCounts
  readonly 'TLSv1.3': VersionCounts
  /** Connections of the proxy at the socket file, which have no TLS here. */
  readonly withoutTls: VersionCounts
  /** Handshakes that failed or timed out, by cause. */
  readonly failedHandshakes: Record<HandshakeFailure, number>
}

export function createCounts(): Counts {
  const none = (): VersionCounts => ({ opened: 0, accepted: { certificate: 0, proof: 0, connection: 0 } })
  return { 'TLSv1.2': none(), 'TLSv1.3': none(), withoutTls: none(), failedHandshakes: noFailures() }
}

function noFailures(): Record<HandshakeFailure, number> {
  return Object.fromEntries(Object.keys(handshakeFailures).map(name => [name, 0])) as Record<HandshakeFailure, number>
}
