// The metrics of a server with several processes: added up, and never decreasing when a worker ends.
import { Counter, Gauge, Registry } from 'prom-client'
import t from 'tap'
import { sumMetrics } from '../../src/ops/metrics/workers.ts'
import { readMetrics } from '../helpers/server/metrics.ts'

/** Returns the metrics of a process with these values. */
async function processOf(counted: number, open: number) {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'a_total', help: 'a', registers }).inc(counted)
  new Gauge({ name: 'open', help: 'open', registers }).set(open)
  new Gauge({ name: 'lag', help: 'lag', registers, aggregator: 'max' }).set(open)
  new Gauge({ name: 'nodejs_eventloop_lag_seconds', help: 'x', registers, aggregator: 'average' }).set(open)
  new Gauge({ name: 'start_seconds', help: 'x', registers, aggregator: 'omit' }).set(counted)
  return registry.getMetricsAsJSON()
}

t.test('adds up counters, and keeps those of workers that have ended, also at the same time', async t => {
  const sum = sumMetrics()
  const own = await processOf(1, 0)
  const read = async (workers: [number, Awaited<ReturnType<typeof processOf>>][]) =>
    Object.fromEntries(readMetrics(await sum.write(own, new Map(workers))))
  const [one, two, three] = [await processOf(10, 3), await processOf(100, 7), await processOf(1000, 5)]
  const gauges = { lag: 7, nodejs_eventloop_lag_seconds: 7, start_seconds: 1 }
  t.same(
    await read([
      [1, one],
      [2, two],
      [3, three],
    ]),
    { a_total: 1111, open: 15, ...gauges },
  )
  t.same(await read([[1, one]]), { a_total: 1111, open: 15, ...gauges }, 'slow workers are counted as before')
  sum.end(1)
  sum.end(2)
  sum.end(9)
  const after = { open: 5, lag: 5, nodejs_eventloop_lag_seconds: 5, start_seconds: 1 }
  t.same(await read([[3, three]]), { a_total: 1111, ...after })
  t.same(
    await read([
      [3, three],
      [4, await processOf(20, 0)],
    ]),
    { a_total: 1131, ...after },
    'a replacement',
  )
})
