// What a gateway counts, for metrics.
export type Outcome = 'answered' | 'refused' | 'failed' | 'aborted'
export const outcomes: readonly Outcome[] = ['answered', 'refused', 'failed', 'aborted']

export interface GatewayCounts {
  /** Requests by the name of their route. */
  readonly requests: ReadonlyMap<string, Readonly<Record<Outcome, number>>>
  /** Failures of upstreams by their detail. */
  readonly failures: ReadonlyMap<string, number>
  readonly tunnels: number
}
