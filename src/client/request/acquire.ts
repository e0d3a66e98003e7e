// Acquires what a request needs before it is sent: a channel from the pool, and a token that is valid on it.
import { guarded } from '../../core/guard.ts'
import { longestRetryAfter } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { type ClientError, isLasting, namesCertificate } from '../errors.ts'
import type { Token } from '../tokens/request-token.ts'
import type { TokenSupply } from '../tokens/token-supply.ts'
import type { Pool, Waiter } from './pool.ts'
import { maximumTries } from './retry.ts'
import type { Timeout } from './timeout.ts'

export interface Acquisition {
  readonly pool: Pool
  readonly tokens: TokenSupply
  readonly timeout: Timeout
  /** Called synchronously if both are available. The channel must be released to the pool. */
  send(lease: Lease): void
  fail(problem: Error): void
}

/** The channel and token that a request is sent with. */
export interface Lease {
  readonly channel: BoundChannel
  readonly token: Token
}

/** The previous failures of this acquisition. */
interface History {
  /** Error responses of the issuer. */
  readonly refusals: ReadonlySet<ClientError>
  readonly last: ClientError | undefined
}

const nothing: History = { refusals: new Set(), last: undefined }

/** Acquires both, waiting until the timeout at most. */
export function acquire(acquisition: Acquisition, history: History = nothing): void {
  const { pool } = acquisition
  const channel = pool.take()
  if (channel !== undefined) findToken(acquisition, history, channel)
  // A server may reject the client certificate only after the handshake, when a token has been requested already.
  else if (history.last !== undefined && pool.problem !== undefined && isLasting(pool.problem))
    acquisition.fail(pool.problem)
  else waitForChannel(acquisition, history)
}

function waitForChannel(acquisition: Acquisition, history: History): void {
  const { pool, timeout } = acquisition
  const fail = (error: Error) => acquisition.fail(error)
  const waiter: Waiter = {
    onChannel: guarded((channel: BoundChannel) => {
      stop()
      findToken(acquisition, history, channel)
    }, fail),
    onProblem(problem) {
      stop()
      fail(problem)
    },
  }
  const stop = timeout.wait(
    () => pool.leave(waiter),
    () => pool.problem ?? history.last,
  )
  pool.wait(waiter)
}

function findToken(acquisition: Acquisition, history: History, channel: BoundChannel): void {
  const { pool, tokens } = acquisition
  const token = tokens.find(channel)
  if (token !== undefined) {
    acquisition.send({ channel, token })
    return
  }
  let waiting = true
  const leave = () => {
    waiting = false
    pool.release(channel)
  }
  const stop = acquisition.timeout.wait(leave, () => history.last)
  const unlessLeft = <Value>(event: (value: Value) => void) => {
    return (value: Value) => {
      if (!waiting) return
      stop()
      event(value)
    }
  }
  const onToken = unlessLeft((got: Token) => acquisition.send({ channel, token: got }))
  const onProblem = unlessLeft((problem: ClientError) => {
    const left = tokens.left(channel)
    // The issuer closed the channel because of its certificate. A new channel may succeed, after a backoff.
    if (namesCertificate(problem.reason) && !channel.open) pool.refuse(channel)
    pool.release(channel)
    tryAgain(acquisition, history, problem, left)
  })
  const fail = (error: Error) => acquisition.fail(error)
  tokens.get(channel).then(guarded(onToken, fail), guarded(onProblem, fail))
}

function tryAgain(acquisition: Acquisition, history: History, problem: ClientError, left: number): void {
  // An unreachable issuer has refused nothing. Then the timeout is the limit, and the pool sets the pace.
  const refusals = problem.status === undefined ? history.refusals : new Set([...history.refusals, problem])
  if (isLasting(problem) || refusals.size >= maximumTries || (problem.retryAfter ?? 0) > longestRetryAfter) {
    acquisition.fail(problem)
    return
  }
  const again = () => {
    stop()
    acquire(acquisition, { refusals, last: problem })
  }
  const fail = (error: Error) => acquisition.fail(error)
  const timer = setTimeout(guarded(again, fail), left)
  const stop = acquisition.timeout.wait(
    () => clearTimeout(timer),
    () => problem,
  )
}
