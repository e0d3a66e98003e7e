// What is read of the server at the moment that metrics are asked for: connections, the age of its news, whether events are
// written, and when what it was given to trust or to show ends.
import { Counter, Gauge, type Registry } from 'prom-client'
import type { MutualTls } from '../../http/mutual-tls.ts'
import type { Store } from '../../store/store.ts'
import { readEnds } from './ends.ts'
import { tlsVersions } from './labels.ts'

export interface Watched {
  readonly tls: MutualTls
  readonly store: Pick<Store, 'lastNews'>
  /** Whether security events can be written. */
  readonly isRecording: () => boolean
}

export function watchListener(registry: Registry, { tls, store, isRecording }: Watched): void {
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
    help: 'TLS handshakes that have failed, or took too long.',
    registers,
    collect() {
      this.reset()
      this.inc(tls.counts.failedHandshakes)
    },
  })
  new Gauge({
    name: 'tlsbound_expiry_timestamp_seconds',
    help: 'When the first of the certificates, authorities or revocation lists in use ends.',
    labelNames: ['of'],
    registers,
    collect() {
      this.reset()
      for (const [of, end] of Object.entries(readEnds(tls.material()))) this.set({ of }, end)
    },
  })
}
