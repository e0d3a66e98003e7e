// A worker process: a channel to the primary process, signals, and the end of either.
import cluster from 'node:cluster'
import { guarded, logError } from '../../core/guard.ts'
import { shutdownTimeout } from '../listening.ts'
import { createLog } from '../log.ts'
import { createPeer, type Message } from './peer.ts'
import { toShared, type WorkerCall, type WorkerConfig, workerCalls } from './protocol.ts'
import { createRemoteStore } from './store-client.ts'
import { type StartedWorker, startWorker } from './worker.ts'

/** Milliseconds that requests have to be answered with 503 after the primary has ended. */
const lastAnswers = 1000

let starting: Promise<StartedWorker> | undefined
let closing: Promise<string> | undefined
const remote = createRemoteStore(() => peer, toShared)
const later =
  (name: WorkerCall) =>
  async (...given: unknown[]) => {
    const handler = (await starting)?.handlers[name] as ((...given: unknown[]) => unknown) | undefined
    return handler?.(...given)
  }
const peer = createPeer(
  messages => void process.send?.(messages, undefined, undefined, () => {}),
  {
    ...remote.handlers,
    async start(config: WorkerConfig) {
      starting = startWorker(config, peer, remote)
      await starting
    },
    ...Object.fromEntries(workerCalls.map(name => [name, later(name)])),
    close,
  },
  error => logError(createLog('error'), error, 'unhandled error in a message of the primary process'),
)

/** Answers the requests under way. Resolves with the end of the chain of events. */
function close(): Promise<string> {
  closing ??= (async () => (await starting)?.close() ?? '')()
  return closing
}

process.report.excludeEnv = true // in case a report is written nevertheless
process.on('message', messages => peer.receive(messages as readonly Message[]))
// Ctrl-C in a terminal, and a service manager that stops a service, signal every process. The primary waits for this one then.
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(
    signal,
    guarded(
      async () => {
        if (starting === undefined) return // the primary, which gets the signal too, starts it and then closes it
        setTimeout(() => process.exit(0), shutdownTimeout).unref()
        peer.tell('ended', await close()) // the primary then ends this process
      },
      () => process.exit(1),
    ),
  )

// Either the primary has received the end of this process, or it has died: then nothing can be decided any more. Requests under
// way get an answer, which is 503 if it needs the store.
cluster.worker?.once('disconnect', () => {
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true // or Node exits at once
  const wasClosing = closing !== undefined
  peer.close()
  setTimeout(() => process.exit(wasClosing ? 0 : 1), lastAnswers)
  close().then(
    () => process.exit(wasClosing ? 0 : 1),
    () => process.exit(1),
  )
})
