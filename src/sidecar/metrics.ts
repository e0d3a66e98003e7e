// The metrics of a sidecar in the text format of Prometheus (exposition format 0.0.4). They name no program, path or token.
import type { ClientState } from '../client/state.ts'

/** What a sidecar measures. A client of another kind may lack members of the state. */
export interface Measured {
  /** Seconds. */
  readonly uptime: number
  readonly underWay: number
  readonly state: Partial<ClientState>
}

type Row = readonly [name: string, kind: 'counter' | 'gauge', help: string, value: number | undefined]

/** Renders the metrics. Values that are unknown are left out. */
export function renderMetrics({ uptime, underWay, state }: Measured): string {
  const { counts, connections, certificate, lastProblem } = state
  const rows: Row[] = [
    ['uptime_seconds', 'gauge', 'Seconds since the sidecar started.', uptime],
    ['requests_under_way', 'gauge', 'Requests of programs that are not answered yet.', underWay],
    ['connections', 'gauge', 'Open connections to the upstream.', connections?.length],
    ['requests_total', 'counter', 'Requests that were sent to the upstream.', counts?.requests],
    ['requests_repeated_total', 'counter', 'Requests that were sent again.', counts?.repeated],
    [
      'connections_total',
      'counter',
      'Connections that were opened to the upstream and its issuer.',
      counts?.connections,
    ],
    ['tokens_total', 'counter', 'Access tokens that were requested.', counts?.tokens],
    [
      'certificate_end_timestamp_seconds',
      'gauge',
      'When the client certificate in use ends, in seconds since 1970.',
      secondsOf(certificate?.expires),
    ],
    [
      'last_problem_timestamp_seconds',
      'gauge',
      'When the last problem occurred, in seconds since 1970; 0: none so far.',
      lastProblem === null ? 0 : secondsOf(lastProblem?.at),
    ],
  ]
  return rows
    .filter(([, , , value]) => value !== undefined && Number.isFinite(value))
    .map(([name, kind, help, value]) => {
      const full = `tlsbound_sidecar_${name}`
      return `# HELP ${full} ${help}\n# TYPE ${full} ${kind}\n${full} ${value}\n`
    })
    .join('')
}

function secondsOf(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time) / 1000
}
