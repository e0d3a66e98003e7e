// Metrics read from the server when scraped: connections, the age of its state, whether events can be written, and the
// expiry of its certificate, client authorities and revocation lists.
import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client'
import type { Store } from '../../store/store.ts'
import type { MutualTls } from '../../tls/listener-options.ts'
import { tlsVersions } from './checks.ts'
import { authorityEndsOf, firstEndsOf, listEndsOf } from './ends.ts'

export interface Watched {
  readonly tls: MutualTls
  /** Undefined: there is none, as for a gateway alone. */
  readonly store: Pick<Store, 'millisecondsSinceSync'> | undefined
  /** Whether security events can be written. */
  readonly isRecording: () => boolean
  /** Seconds before the expiry of a certificate at which the alert rules warn. */
  readonly expiryWarning: number
}

export function watchListener(registry: Registry, { tls, store, isRecording, expiryWarning }: Watched): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number, aggregator: Aggregator = 'sum') =>
    new Gauge({
      name,
      help,
      aggregator,
      registers,
      collect() {
        this.set(read())
      },
    })

  gauge('tlsbound_connections_open', 'Open connections with a completed handshake.', () => tls.connections.size)
  if (store !== undefined)
    gauge(
      'tlsbound_revocation_lag_seconds',
      'Time since all revocations of the store were last known here; from 5 on every token is refused.',
      () => store.millisecondsSinceSync() / 1000,
      'max',
    )
  gauge(
    'tlsbound_events_writable',
    '1: security events can be written; 0: requests that produce one are refused.',
    () => Number(isRecording()),
    'min',
  )

  new Counter({
    name: 'tlsbound_connections_opened_total',
    help: 'Completed TLS handshakes.',
    labelNames: ['tls'],
    registers,
    collect() {
      this.reset()
      for (const version of tlsVersions) this.inc({ tls: version }, tls.counts[version].opened)
    },
  })
  new Counter({
    name: 'tlsbound_handshakes_failed_total',
    help: 'TLS handshakes that failed or timed out, by what arrived instead.',
    labelNames: ['arrived'],
    registers,
    collect() {
      this.reset()
      for (const [arrived, count] of Object.entries(tls.counts.failedHandshakes)) this.inc({ arrived }, count)
    },
  })
  watchEnds(registry, tls, expiryWarning)
}

function watchEnds(registry: Registry, tls: MutualTls, expiryWarning: number): void {
  type Labelled = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[]
  const gauge = (name: string, help: string, labelNames: string[], read: () => Labelled) =>
    new Gauge({
      name,
      help,
      labelNames,
      aggregator: 'max', // the same in each process, except during a reload
      registers: [registry],
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.set(labels, value)
      },
    })

  gauge(
    'tlsbound_expiry_timestamp_seconds',
    'The earliest end of the certificates, authorities and revocation lists in use.',
    ['of'],
    () => Object.entries(firstEndsOf(tls.inUse())).map(([of, end]) => [{ of }, end]),
  )
  gauge(
    'tlsbound_warning_before_end_seconds',
    'Time before such an end from which on to warn: TLSBOUND_EXPIRY_WARNING_DAYS.',
    [],
    () => [[{}, expiryWarning]],
  )
  const ofAuthority = ['authority', 'serial']
  gauge(
    'tlsbound_authority_end_timestamp_seconds',
    'The end of each authority for client certificates.',
    ofAuthority,
    () => authorityEndsOf(tls.inUse(), Date.now()).map(({ labels, end }) => [labels, end]),
  )
  gauge(
    'tlsbound_authority_usable',
    '1: clients of the authority can be accepted; 0: all are refused, for example without a revocation list in force.',
    ofAuthority,
    () => authorityEndsOf(tls.inUse(), Date.now()).map(({ labels, isUsable }) => [labels, Number(isUsable)]),
  )
  const ofList = ['authority', 'key', 'scope']
  gauge('tlsbound_list_end_timestamp_seconds', 'The end of each revocation list.', ofList, () =>
    listEndsOf(tls.inUse()).flatMap(({ labels, end }) => (end === undefined ? [] : [[labels, end]])),
  )
  gauge('tlsbound_list_entries', 'Certificates that each revocation list revokes.', ofList, () =>
    listEndsOf(tls.inUse()).map(({ labels, entries }) => [labels, entries]),
  )
}
