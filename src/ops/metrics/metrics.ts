// The metrics of one server, in a registry of its own: what its events count, how long its store takes, and what is read when
// somebody asks. Labels come from closed lists and never from clients.
import { Registry } from 'prom-client'
import type { Observer } from '../../audit/event.ts'
import type { Store } from '../../store/store.ts'
import { registerCheckMetrics } from './checks.ts'
import { countEvents } from './events.ts'
import { type Watched, watchListener } from './listener.ts'
import { measureStore, watchStore } from './store.ts'

export interface Metrics {
  readonly registry: Registry
  /** Counts events. */
  readonly observe: Observer
  /** The store that was given, whose calls are measured. */
  readonly store: Store
}

export function createMetrics(parts: Watched & { readonly store: Store }): Metrics {
  const registry = new Registry()
  watchListener(registry, parts)
  const store = measureStore(parts.store, watchStore(registry))
  const observers = [registerCheckMetrics(registry, parts.tls.counts), countEvents(registry)]
  return {
    registry,
    store,
    observe: event => {
      for (const observe of observers) observe(event)
    },
  }
}
