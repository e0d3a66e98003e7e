// Metrics of the whole process, and so of only one server in it, under the names that Node dashboards use.
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client'

/** Gauges with the name of a counter. Each walks all connections when read. */
const unwanted = ['nodejs_active_handles', 'nodejs_active_requests', 'nodejs_active_resources']

export function registerRuntimeMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  for (const name of unwanted.flatMap(name => [name, `${name}_total`])) registry.removeSingleMetric(name)

  let last = performance.eventLoopUtilization()
  new Gauge({
    name: 'tlsbound_event_loop_utilisation_ratio',
    help: 'Share of the time since the last scrape that the event loop was busy.',
    aggregator: 'max',
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization()
      this.set(performance.eventLoopUtilization(now, last).utilization)
      last = now
    },
  })
}
