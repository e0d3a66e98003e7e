// What the ops listener is assembled from, and what its routes receive.
import type { FastifyBaseLogger } from 'fastify'
import type { Revocation } from '../core/revocations.ts'
import type { ClientRegistry } from '../server/clients/registry.ts'
import type { findMissingKeys } from '../server/clients/token-format.ts'
import type { Audit } from '../server/record-events.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import type { LiveConnections } from './live-connections.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Use } from './use.ts'

export interface OpsOptions {
  readonly store: Store
  /** The registry of the mutual-TLS listener, so that a change is effective before its response. */
  readonly clients: ClientRegistry
  /** The signing keys of the server. Default: it has none for PASETO, so that no client can be registered for it. */
  readonly keys?: Parameters<typeof findMissingKeys>[1]
  readonly audit: Audit
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** The bearer token that an administrator must present. */
  readonly token: string
  /** Whether the mutual-TLS listener accepts connections. */
  readonly isServing: () => boolean
  /** Whether security events can be written. While they cannot, nothing is issued. */
  readonly isRecording: () => boolean
  /** The registry that `/metrics` shows. Default: none. */
  readonly metrics?: Pick<Metrics, 'registry'>
  /** The live connections and the certificate in use, for the page. Default: shows none. */
  readonly tls?: Pick<MutualTls, 'connections' | 'inUse'>
  /** Default: those of `tls`. */
  readonly connections?: LiveConnections
  /** Measures the use of what a revocation concerns, for each process with connections. Default: for those of `tls`. */
  readonly measureUse?: (revocation: Revocation) => Promise<readonly Use[]>
  /** Writes the metrics of `/metrics`. Default: those of the registry. */
  readonly writeMetrics?: (registry: Metrics['registry']) => Promise<string>
  /** Loads the files again. Each result has the name of the files, and why they could not be used. Default: there are no files. */
  readonly reload?: () => Promise<readonly { readonly files: string; readonly problem?: string | undefined }[]>
  /** Runs thefts against this server and reports each one; in the demo only. */
  readonly playThefts?: () => AsyncIterable<object>
}

export interface OpsParts extends OpsOptions {
  /** Seconds since 1970. */
  readonly now: () => number
  /** Serializes changes of clients, because each reads before it writes. */
  readonly inTurn: <T>(change: () => Promise<T>) => Promise<T>
}

/** Creates a queue that runs changes one after the other, in the requested order. */
export function createTurns(): OpsParts['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return change => {
    const result = last.then(change)
    last = result.catch(() => {})
    return result
  }
}
