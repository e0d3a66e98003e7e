// What a listener counts where there is no security event, as plain numbers that metrics read when they are asked for:
// adding one costs nothing that a request would feel.
import type { TokenBinding } from '../core/confirmation.ts'
import { type HandshakeFailure, handshakeFailures } from './failed-handshakes.ts'

/** Counted by TLS version, which a connection knows from its start. */
export interface VersionCounts {
  /** Handshakes that have ended well. */
  opened: number
  /** Requests whose token was good, by its level. */
  readonly accepted: Record<TokenBinding, number>
}

export interface Counts {
  readonly 'TLSv1.2': VersionCounts
  readonly 'TLSv1.3': VersionCounts
  /** Handshakes that have failed, or took too long, by what arrived. */
  readonly failedHandshakes: Record<HandshakeFailure, number>
}

export function createCounts(): Counts {
  const none = (): VersionCounts => ({ opened: 0, accepted: { certificate: 0, proof: 0, connection: 0 } })
  return { 'TLSv1.2': none(), 'TLSv1.3': none(), failedHandshakes: noFailures() }
}

function noFailures(): Record<HandshakeFailure, number> {
  return Object.fromEntries(Object.keys(handshakeFailures).map(name => [name, 0])) as Record<HandshakeFailure, number>
}
