// The program of a worker process. It imports little, so that signals are caught before the rest is loaded: a service manager that stops
// a service, and a terminal, send them to every process. The primary decides what they mean.
import '../check-node.js'
import '../no-debugger.js'

for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) process.on(signal, () => {})

await import('./worker-process.ts')
