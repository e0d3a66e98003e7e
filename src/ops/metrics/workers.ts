// The metrics of a server with several processes: one text for all of them, whose counters never decrease.
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client'

/** The metrics of one process, with their values. */
export type ProcessMetrics = readonly MetricObjectWithValues<MetricValue<string>>[]

/** How many workers answer requests, and how many have crashed. */
export interface WorkerCounts {
  readonly running: number
  readonly crashed: number
}

/** Registers the metrics of the workers of a server. */
export function watchWorkers(registry: Registry, read: () => WorkerCounts): void {
  const registers = [registry]
  new Gauge({
    name: 'tlsbound_workers_running',
    help: 'Workers that accept connections, if TLSBOUND_WORKERS is more than 1.',
    registers,
    collect() {
      this.set(read().running)
    },
  })
  new Counter({
    name: 'tlsbound_worker_crashes_total',
    help: 'Workers that ended without being asked to, and were replaced.',
    registers,
    collect() {
      this.reset()
      this.inc(read().crashed)
    },
  })
}

export interface MetricsSum {
  /** Returns the text of the metrics of all processes. `workers`: those of each running worker, by a key of the worker. */
  write(own: ProcessMetrics, workers: ReadonlyMap<number, ProcessMetrics>): Promise<string>
  /** A worker has ended: its counters, as they were last read, stay in the sum. */
  end(worker: number): void
}

/** Creates the sum. It remembers the latest metrics of each worker, so that one that is slow or has ended is counted. */
export function sumMetrics(): MetricsSum {
  const latest = new Map<number, ProcessMetrics>()
  /** One after the other, since each adds to the sum before it. */
  let ended: Promise<ProcessMetrics> = Promise.resolve([])
  return {
    async write(own, workers) {
      for (const [worker, metrics] of workers) latest.set(worker, metrics)
      const former = await ended
      return aggregate([own, ...latest.values(), former]).metrics()
    },
    end(worker) {
      const last = latest.get(worker)
      if (last === undefined) return
      latest.delete(worker)
      const counted = last.filter(({ type }) => String(type) === 'counter' || String(type) === 'histogram')
      ended = ended.then(former =>
        aggregate([former, counted])
          .getMetricsAsJSON()
          .catch(() => former),
      )
    },
  }
}

function aggregate(all: readonly ProcessMetrics[]): Registry {
  return AggregatorRegistry.aggregate(all.map(metrics => metrics.map(withAggregator)))
}

/** The slowest event loop matters. What cannot be added, such as a start time, is that of the primary. */
function withAggregator<T extends ProcessMetrics[number]>(metric: T): T {
  if (metric.name.startsWith('nodejs_eventloop_lag')) return { ...metric, aggregator: 'max' }
  return (metric.aggregator as string) === 'omit' ? { ...metric, aggregator: 'first' } : metric
}
