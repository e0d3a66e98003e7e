// Measures the duration of each kind of store call from outside, so that the stores need no code for it.
import { Counter, Histogram, type Registry } from 'prom-client'
import { ConflictError, type Store } from '../../store/store.ts'

/** Is called after each call, with `error` if it was rejected. */
type Measured = (operation: string, seconds: number, error?: unknown) => void

/** Called on every request and answered from memory. */
const unmeasured = ['millisecondsSinceSync']

/** Returns the store with measured calls. A store is a plain object of functions. */
export function measureStore(store: Store, measured: Measured): Store {
  const calls = Object.entries(store).map(([operation, call]: [string, Call]) => [
    operation,
    unmeasured.includes(operation) ? call : measure(operation, call, measured),
  ])
  return Object.fromEntries(calls) as Store
}

/** Registers the store's metrics. Returns the function that records calls. */
export function watchStore(registry: Registry): Measured {
  const durations = new Histogram({
    name: 'tlsbound_store_duration_seconds',
    help: 'Duration of the calls of the store.',
    labelNames: ['operation'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [registry],
  })
  const failures = new Counter({
    name: 'tlsbound_store_failures_total',
    help: 'Calls of the store that failed; the requests that needed them were refused.',
    labelNames: ['operation'],
    registers: [registry],
  })
  return (operation, seconds, error) => {
    durations.observe({ operation }, seconds)
    if (error !== undefined && !(error instanceof ConflictError)) failures.inc({ operation })
  }
}

type Call = (...parameters: unknown[]) => unknown

function measure(operation: string, call: Call, measured: Measured): Call {
  return (...parameters) => {
    const start = performance.now()
    const end = (error?: unknown) => measured(operation, (performance.now() - start) / 1000, error)
    const answer = call(...parameters)
    if (answer instanceof Promise)
      answer.then(
        () => end(),
        error => end(error),
      )
    return answer
  }
}
