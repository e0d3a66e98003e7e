// Starts the workers, replaces those that end, and calls all of them.
import cluster, { type Worker as ClusterWorker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { FastifyBaseLogger } from 'fastify'
import type { Writer } from '../../audit/recorder.ts'
import { logError } from '../../core/guard.ts'
import { UnwrittenEvent, type WorkerChange } from '../../server/record-events.ts'
import { createPeer, type Handlers, type Message, type Peer } from './peer.ts'

/** Milliseconds before a worker that ended is replaced: doubled each time, unless the last one has lived for `stable`. */
const delays = { first: 100, longest: 10_000, stable: 10_000 }

/** Milliseconds that a worker may take to start. */
const longestStart = 60_000

/** Milliseconds between two checks whether a worker answers, and after which one that does not is killed. */
const watchdog = { interval: 5000, limit: 30_000 }

export interface RunningWorker {
  readonly number: number
  readonly serial: number
  readonly writer: string
  readonly peer: Peer
  isListening: boolean
}

export interface SupervisorParts {
  readonly count: number
  readonly log: FastifyBaseLogger
  /** Records that a worker starts. Returns the hash that the first line of its chain refers to. @throws UnwrittenEvent */
  announce(number: number, writer: string): string
  /** Records that a worker has ended. Must not throw. `last`: the end of its chain, as it has told. */
  onEnd(worker: RunningWorker, change: WorkerChange, last: string | undefined): void
  /** Returns what a worker starts with. */
  configure(worker: { readonly number: number; readonly serial: number; readonly writer: Writer }): object
  /** What a worker may call. */
  handlersFor(getWorker: () => RunningWorker): Handlers
}

export interface Supervisor {
  /** Resolves when all workers listen. Rejects when one of them cannot start. */
  start(): Promise<void>
  readonly workers: ReadonlySet<RunningWorker>
  crashed(): number
  /** Calls a handler of each worker, without waiting. */
  tellAll(name: string, ...parameters: readonly unknown[]): void
  /** Calls a handler of each worker. A worker that does not answer in time is killed, and replaced by one with new files. */
  require(name: string, parameters: readonly unknown[], limit: number): Promise<void>
  /** Lets each worker complete its requests. Resolves when all have ended, after `limit` milliseconds at the latest. */
  close(limit: number): Promise<void>
}

export function createSupervisor(parts: SupervisorParts): Supervisor {
  const { count, log } = parts
  const workers = new Set<RunningWorker>()
  const processes = new Map<RunningWorker, ClusterWorker>()
  const lasts = new Map<RunningWorker, string>()
  let serials = 0
  let crashes = 0
  let isStarted = false
  /** The numbers of workers that a signal ended before all had started. */
  const stoppedEarly: number[] = []
  let isClosing = false
  let onEmpty = () => {}

  // The primary accepts, and passes connections to the workers in turn. No worker has the listening socket then, so that the
  // port is free as soon as the primary has died, and no connection waits at a worker that is stopped or starting. And the
  // connections, which live long since tokens are bound to them, are spread evenly: of 16, 8 and 8, where SCHED_NONE gave 7 to
  // 9 on an idle machine.
  cluster.schedulingPolicy = cluster.SCHED_RR
  const entry = new URL(`./worker-main${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  cluster.setupPrimary({ exec: fileURLToPath(entry), args: [], serialization: 'advanced' })

  /** Starts a worker. Resolves when it listens. Rejects when it cannot; then it has been killed. */
  async function launch(number: number, failures: number): Promise<void> {
    const serial = ++serials
    const writer = randomBytes(9).toString('base64url')
    const chain = parts.announce(number, writer)
    const started = performance.now()
    const child = cluster.fork()
    const send = (messages: readonly Message[]) => void child.process.send?.(messages, undefined, undefined, () => {})
    const handlers = {
      ...parts.handlersFor(() => worker),
      ended: (last: string) => endAfter(worker, last), // by a signal
    }
    const onError = (error: Error) =>
      logError(log, error, 'unhandled error in a message of a worker', { worker: number })
    const peer = createPeer(send, handlers, onError)
    const worker: RunningWorker = { number, serial, writer, peer, isListening: false }
    workers.add(worker)
    processes.set(worker, child)
    child.on('message', (messages: readonly Message[]) => peer.receive(messages))
    child.on('error', error => logError(log, error, 'a worker process failed', { worker: number }))
    child.once('exit', (code, signal) => {
      worker.isListening = false
      workers.delete(worker)
      processes.delete(worker)
      peer.close()
      // A service manager, and Ctrl-C in a terminal, signal a worker that has not caught signals yet too.
      const isStopped = lasts.has(worker) || (!isStarted && (signal === 'SIGTERM' || signal === 'SIGINT'))
      parts.onEnd(worker, isStopped ? 'stopped' : 'crashed', lasts.get(worker))
      lasts.delete(worker)
      if (workers.size === 0) onEmpty()
      if (isStopped && !isStarted) stoppedEarly.push(number)
      if (isClosing || !isStarted) return
      if (!isStopped) crashes++
      const isStable = performance.now() - started >= delays.stable
      const delay = isStable ? delays.first : Math.min(delays.first * 2 ** failures, delays.longest)
      log[isStopped ? 'warn' : 'error'](
        `worker ${number} has ended (${signal ?? `code ${code}`}): it is replaced in ${delay} ms`,
      )
      replaceLater(number, isStable ? 0 : failures + 1, delay)
    })
    try {
      await peer.call('start', [parts.configure({ number, serial, writer: { id: writer, chain } })], longestStart)
      worker.isListening = true
    } catch (error) {
      child.process.kill('SIGKILL')
      throw error
    }
  }

  function replaceLater(number: number, failures: number, delay: number): void {
    setTimeout(async () => {
      if (isClosing) return
      try {
        await launch(number, failures)
        log.info(`worker ${number} was replaced`)
      } catch (error) {
        log.error(`worker ${number} cannot start: ${(error as Error).message}`)
        // There is no process then, whose end would start the next one.
        if (error instanceof UnwrittenEvent) replaceLater(number, failures, delays.longest)
      }
    }, delay)
  }

  async function check(worker: RunningWorker): Promise<void> {
    try {
      await worker.peer.call('applied', [], watchdog.limit)
    } catch {
      kill(worker, `has not answered for ${watchdog.limit / 1000} s`)
    }
  }

  /** Ends a worker that has completed its requests. `last`: the end of its chain of events. */
  function endAfter(worker: RunningWorker, last: string): void {
    const child = processes.get(worker)
    if (child?.process.connected !== true) return
    lasts.set(worker, last)
    child.process.disconnect()
  }

  function kill(worker: RunningWorker, why: string): void {
    if (!workers.has(worker)) return
    log.error(`worker ${worker.number} ${why}, and is killed`)
    processes.get(worker)?.process.kill('SIGKILL')
  }

  const watching = setInterval(() => {
    for (const worker of workers) if (worker.isListening) void check(worker)
  }, watchdog.interval)
  watching.unref()

  return {
    workers,
    crashed: () => crashes,
    async start() {
      const numbers = Array.from({ length: count }, (_, index) => index + 1)
      const started = await Promise.allSettled(numbers.map(number => launch(number, 0)))
      for (const [index, result] of started.entries())
        if (result.status === 'rejected' && !stoppedEarly.includes(index + 1)) throw result.reason
      if (workers.size + stoppedEarly.length < count) throw new Error('a worker has ended while the server started')
      isStarted = true
      for (const number of stoppedEarly) replaceLater(number, 0, delays.first)
    },
    tellAll(name, ...parameters) {
      for (const { peer } of workers) peer.tell(name, ...parameters)
    },
    async require(name, parameters, limit) {
      const call = (worker: RunningWorker) =>
        worker.peer.call(name, parameters, limit).catch(() => kill(worker, `has not completed ${name}`))
      await Promise.all([...workers].map(call))
    },
    async close(limit) {
      isClosing = true
      clearInterval(watching)
      const empty = new Promise<void>(resolve => {
        onEmpty = resolve
      })
      const timer = setTimeout(() => {
        for (const child of processes.values()) child.process.kill('SIGKILL')
      }, limit)
      for (const worker of workers)
        worker.peer.call('close', [], limit).then(
          last => endAfter(worker, last as string),
          () => {},
        )
      if (workers.size > 0) await empty
      clearTimeout(timer)
    },
  }
}
