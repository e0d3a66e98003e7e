// What is read of the server when metrics are scraped: connections, the age of its news, whether events are written, and when
// its certificate, the authorities for clients and the revocation lists end.
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Store } from '../../store/store.ts'
import type { MutualTls } from '../../tls/mutual-tls.ts'
import { tlsVersions } from './checks.ts'
import { authorityEndsOf, firstEndsOf, listEndsOf } from './ends.ts'

export interface Watched {
  readonly tls: MutualTls
  readonly store: Pick<Store, 'lastNews'>
  /** Whether security events can be written. */
  readonly isRecording: () => boolean
  /** Seconds before the end of a certificate from which on the alert rules warn of it. */
  readonly expiryWarning: number
}

export function watchListener(registry: Registry, { tls, store, isRecording, expiryWarning }: Watched): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })

  gauge('tlsbound_connections_open', 'Connections whose handshake has ended.', () => tls.connections.size)
  gauge(
    'tlsbound_revocation_lag_seconds',
    'Time since it was last sure that every revocation is known here; from 5 on every token is refused.',
    () => store.lastNews() / 1000,
  )
  gauge('tlsbound_events_writable', '1: security events can be written; 0: whatever makes one is refused.', () =>
    Number(isRecording()),
  )

  new Counter({
    name: 'tlsbound_connections_opened_total',
    help: 'Handshakes that have ended well.',
    labelNames: ['tls'],
    registers,
    collect() {
      this.reset()
      for (const version of tlsVersions) this.inc({ tls: version }, tls.counts[version].opened)
    },
  })
  new Counter({
    name: 'tlsbound_handshakes_failed_total',
    help: 'TLS handshakes that have failed, or took too long, by what arrived in their place.',
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
      registers: [registry],
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.set(labels, value)
      },
    })

  gauge(
    'tlsbound_expiry_timestamp_seconds',
    'When the first of the certificates, authorities or revocation lists in use ends.',
    ['of'],
    () => Object.entries(firstEndsOf(tls.inUse())).map(([of, end]) => [{ of }, end]),
  )
  gauge(
    'tlsbound_warning_before_end_seconds',
    'Time before the end of a certificate from which on to warn.',
    [],
    () => [[{}, expiryWarning]],
  )
  const ofAuthority = ['authority', 'serial']
  gauge(
    'tlsbound_authority_end_timestamp_seconds',
    'When each authority for client certificates ends.',
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
  gauge('tlsbound_list_end_timestamp_seconds', 'When each revocation list ends.', ofList, () =>
    listEndsOf(tls.inUse()).flatMap(({ labels, end }) => (end === undefined ? [] : [[labels, end]])),
  )
  gauge('tlsbound_list_entries', 'Certificates that each revocation list revokes.', ofList, () =>
    listEndsOf(tls.inUse()).map(({ labels, entries }) => [labels, entries]),
  )
}
