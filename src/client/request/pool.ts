// The channels of a client: one over HTTP/2, several over HTTP/1.1. Each request gets the least busy channel. Others
// wait in order while connections are opened, with backoff after failures.

import { guarded } from '../../core/guard.ts'
import { isCertificateAlert } from '../../outgoing/failure.ts'
import { createBackoff, refusalWait } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { type ClientError, codeOf, explainConnectProblem, isLasting } from '../errors.ts'
import type { Credentials } from '../identity.ts'

export interface PoolOptions {
  /** The origin of the channels. */
  readonly origin: string
  readonly connections: number
  /** Returns the current credentials. After a change, the channels of the old ones are replaced. */
  readonly credentials: () => Credentials
  readonly open: (credentials: Credentials) => Promise<BoundChannel>
  readonly onProblem: (problem: ClientError) => void
}

/** Called once, with a channel or with a problem that waiting does not solve. */
export interface Waiter {
  onChannel(channel: BoundChannel): void
  onProblem(problem: ClientError): void
}

export interface Pool {
  readonly channels: readonly BoundChannel[]
  /** Why there is no connection, if there is none. */
  readonly problem: ClientError | undefined
  /** Lends a free channel, if there is one. Return it with `release`. */
  take(): BoundChannel | undefined
  wait(waiter: Waiter): void
  leave(waiter: Waiter): void
  release(channel: BoundChannel): void
  /** The channel carried a response: the server works. */
  answered(channel: BoundChannel): void
  /** Sends no new requests over a channel that the server is about to close. */
  retire(channel: BoundChannel): void
  /** The server refused the certificate of the channel. The next request gets a new channel, after a backoff. */
  refuse(channel: BoundChannel): void
  close(): Promise<void>
  destroy(): void
}

interface Entry {
  readonly channel: BoundChannel
  active: number
  retired: boolean
  answered: boolean
}

export function createPool(options: PoolOptions): Pool {
  const entries = new Map<BoundChannel, Entry>()
  const waiters = new Set<Waiter>()
  const backoff = createBackoff()
  const { host } = new URL(options.origin)
  const report = (error: unknown) => fail(explainConnectProblem(error, host))
  let opening = 0
  let timer: NodeJS.Timeout | undefined
  let problem: ClientError | undefined
  let current = options.credentials()
  let multiplexes: boolean | undefined
  let ended = false

  function take(): BoundChannel | undefined {
    followCredentials()
    let best: Entry | undefined
    for (const entry of entries.values()) {
      const isLessBusy = best === undefined || entry.active < best.active
      if (isLessBusy && entry.active < entry.channel.capacity && isUsable(entry)) best = entry
      if (best?.active === 0) break
    }
    if (best !== undefined) best.active += 1
    return best?.channel
  }

  function isUsable({ channel, retired }: Entry): boolean {
    return !retired && channel.open
  }

  function followCredentials(): void {
    const now = options.credentials()
    if (now === current) return
    current = now
    for (const entry of entries.values()) retire(entry)
  }

  /** Gives free channels to waiting requests, and opens the channels that are still needed. */
  function serve(): void {
    for (const waiter of waiters) {
      const channel = take()
      if (channel === undefined) break
      waiters.delete(waiter)
      waiter.onChannel(channel)
    }
    // Whether one connection carries many requests is unknown until the first one is open.
    const useful = multiplexes === false ? waiters.size : Math.min(waiters.size, 1)
    while (opening < useful && live() + opening < options.connections && !ended) {
      if (backoff.left > 0) {
        const again = () => {
          timer = undefined
          serve()
        }
        timer ??= setTimeout(guarded(again, report), backoff.left).unref() // waiting requests have their own timers
        return
      }
      open().catch(report)
    }
  }

  function live(): number {
    return [...entries.values()].filter(isUsable).length
  }

  async function open(): Promise<void> {
    opening += 1
    try {
      followCredentials()
      const channel = await options.open(current)
      if (ended) return channel.destroy()
      const entry: Entry = { channel, active: 0, retired: channel.credentials !== current, answered: false }
      entries.set(channel, entry)
      multiplexes = channel.protocol === 'h2'
      problem = undefined
      void channel.closed.then(guarded(cause => onEnd(entry, cause), report))
    } catch (error) {
      report(error)
    } finally {
      opening -= 1
      serve()
    }
  }

  function onEnd(entry: Entry, cause: Error | undefined): void {
    entries.delete(entry.channel)
    // Avoids that all clients of a stopped server reconnect at the same instant.
    if (cause !== undefined && (entry.active > 0 || !entry.answered)) {
      if (isCertificateAlert(codeOf(cause))) report(cause)
      else backoff.failed()
    }
    serve()
  }

  function fail(found: ClientError): void {
    problem = found
    backoff.failed()
    options.onProblem(found)
    if (!isLasting(found) || live() > 0) return
    for (const waiter of waiters) {
      waiters.delete(waiter)
      waiter.onProblem(found)
    }
  }

  function retire(entry: Entry): void {
    entry.retired = true
    if (entry.active === 0) void entry.channel.close()
  }

  return {
    get channels() {
      return [...entries.keys()]
    },
    get problem() {
      return live() > 0 ? undefined : problem
    },
    take: () => (waiters.size > 0 ? undefined : take()),
    wait(waiter) {
      // Requests do not wait for a long backoff after a lasting problem, but a due retry is made.
      if (problem !== undefined && isLasting(problem) && backoff.left > refusalWait && live() === 0) {
        waiter.onProblem(problem)
        return
      }
      waiters.add(waiter)
      serve()
    },
    leave: waiter => void waiters.delete(waiter),
    release(channel) {
      const entry = entries.get(channel)
      if (entry !== undefined) {
        entry.active -= 1
        if (entry.retired && entry.active === 0) void channel.close()
      }
      if (waiters.size > 0) serve()
    },
    answered(channel) {
      const entry = entries.get(channel)
      if (entry === undefined) return
      entry.answered = true
      backoff.succeeded()
    },
    refuse(channel) {
      const entry = entries.get(channel)
      if (entry === undefined) return
      retire(entry)
      backoff.failed(0, refusalWait)
    },
    retire(channel) {
      const entry = entries.get(channel)
      if (entry !== undefined) entry.retired = true
    },
    async close() {
      ended = true
      clearTimeout(timer)
      await Promise.all([...entries.keys()].map(channel => channel.close()))
    },
    destroy() {
      ended = true
      clearTimeout(timer)
      for (const channel of entries.keys()) channel.destroy()
    },
  }
}
