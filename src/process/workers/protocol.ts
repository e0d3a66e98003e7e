// What the primary process and its workers call at each other, beside the calls of the store.
import type { Writer } from '../../audit/recorder.ts'
import type { TokenJwk } from '../../keys/token-keys.ts'
import type { DescribedConnection } from '../../ops/live-connections.ts'
import type { Settings } from '../../settings/settings.ts'
import type { TlsMaterial } from '../../tls/options.ts'

/** What is loaded from files by the primary, so that all workers have the same. */
export interface Content {
  readonly material: TlsMaterial
  readonly registrations: readonly object[]
}

/** What a worker starts with. */
export interface WorkerConfig extends Content {
  readonly settings: Settings
  /** Its number, from 1 on; the one that replaces it has the same. */
  readonly number: number
  /** Different for each process, so that the numbers of connections are. */
  readonly serial: number
  /** Processes that write events. */
  readonly processes: number
  /** Its chain of events. */
  readonly writer: Writer
  /** Private keys that sign. */
  readonly keys: readonly TokenJwk[]
}

/** What the primary calls at a worker that has started. */
export const workerCalls = ['reload', 'keys', 'closeCertificate', 'use', 'metrics', 'connections'] as const
export type WorkerCall = (typeof workerCalls)[number]

/** The connections of a worker, for the live page. */
export interface WorkerConnections {
  readonly total: number
  readonly newest: readonly DescribedConnection[]
}

/** The numbers of the connections of a worker begin after `serial` times this number. */
export const idsOfWorker = 1_000_000_000

/**
 * Converts milliseconds of the monotonic clock of this process to those since the machine was started, which all of its
 * processes count alike, and back.
 */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now()
export const toShared = (time: number): number => time + offset
export const fromShared = (time: number): number => time - offset
