// The metrics of one server, in a registry of its own: counted events, durations of store calls, and values read when
// scraped. Labels come from closed lists, never from clients.
import { Registry } from 'prom-client'
import type { Observer } from '../../audit/event.ts'
import type { GatewayCounts } from '../../gateway/counts.ts'
import type { Store } from '../../store/store.ts'
import { registerCheckMetrics } from './checks.ts'
import { countEvents } from './events.ts'
import { watchGateway } from './gateway.ts'
import { type Watched, watchListener } from './listener.ts'
import { measureStore, watchStore } from './store.ts'

export interface Metrics {
  readonly registry: Registry
  /** An observer that counts events. */
  readonly observe: Observer
  /** The given store with measured calls. */
  readonly store: Store
}

interface Measured extends Watched {
  readonly store: Store
  readonly gateway?: GatewayCounts | undefined
}

export function createMetrics(parts: Measured): Metrics {
  const metrics = createListenerMetrics(parts)
  return { ...metrics, store: measureStore(parts.store, watchStore(metrics.registry)) }
}

/** Creates the metrics of a process that may have no store, such as a gateway alone. */
export function createListenerMetrics(
  parts: Watched & { readonly gateway?: GatewayCounts | undefined },
): Omit<Metrics, 'store'> {
  const registry = new Registry()
  watchListener(registry, parts)
  if (parts.gateway !== undefined) watchGateway(registry, parts.gateway)
  const observers = [registerCheckMetrics(registry, parts.tls.counts), countEvents(registry)]
  return {
    registry,
    observe: event => {
      for (const observe of observers) observe(event)
    },
  }
}
