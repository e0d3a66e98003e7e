// What the ops listener is put together from, and what its routes are given.
import type { FastifyBaseLogger } from 'fastify'
import type { ClientRegistry } from '../server/clients/registry.ts'
import type { Audit } from '../server/record-events.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/mutual-tls.ts'
import type { Metrics } from './metrics/metrics.ts'

export interface OpsOptions {
  readonly store: Store
  /** The registry that the mutual-TLS listener judges by, so that a change is in force when its answer is sent. */
  readonly clients: ClientRegistry
  readonly audit: Audit
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** What an administrator must bring, as a bearer token. */
  readonly token: string
  /** Whether the mutual-TLS listener takes connections. */
  readonly isServing: () => boolean
  /** Whether security events can be written; while they cannot, nothing is given. */
  readonly isRecording: () => boolean
  /** What `/metrics` shows. Default: there is none. */
  readonly metrics?: Pick<Metrics, 'registry'>
  /** The live connections and the certificate in use, for the page. Default: it shows none. */
  readonly tls?: Pick<MutualTls, 'connections' | 'inUse'>
  /** Plays thefts against this server, and tells of each; in the demo only. */
  readonly playThefts?: () => AsyncIterable<object>
}

export interface OpsParts extends OpsOptions {
  /** Seconds since 1970. */
  readonly now: () => number
  /** Changes of clients look before they write, so they happen one after the other. */
  readonly inTurn: <T>(change: () => Promise<T>) => Promise<T>
}

/** Lets changes happen one after the other, in the order in which they are asked for. */
export function createTurns(): OpsParts['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return change => {
    const result = last.then(change)
    last = result.catch(() => {})
    return result
  }
}
