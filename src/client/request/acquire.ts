// What a request needs before it can be sent: a channel, lent by the pool, and a token that is good on it.
import { guarded } from '../../core/guard.ts'
import { longestRetryAfter } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { type ClientError, isLasting, namesCertificate } from '../errors.ts'
import type { Token } from '../tokens/request-token.ts'
import type { TokenSupply } from '../tokens/token-supply.ts'
import type { Patience } from './patience.ts'
import type { Pool, Waiter } from './pool.ts'
import { maximumTries } from './repeat.ts'

export interface Acquisition {
  readonly pool: Pool
  readonly tokens: TokenSupply
  readonly patience: Patience
  /** On the spot, if both are there. The channel must be given back to the pool. */
  send(means: Means): void
  fail(problem: Error): void
}

/** What a request is sent with. */
export interface Means {
  readonly channel: BoundChannel
  readonly token: Token
}

/** What has stood in the way so far. */
interface Past {
  /** What the issuer has answered instead of a token. */
  readonly refusals: ReadonlySet<ClientError>
  readonly last: ClientError | undefined
}

const nothing: Past = { refusals: new Set(), last: undefined }

/** Acquires both, waiting as long as there is patience. */
export function acquire(acquisition: Acquisition, past: Past = nothing): void {
  const { pool } = acquisition
  const channel = pool.take()
  if (channel !== undefined) findToken(acquisition, past, channel)
  // A server that refuses our certificate may say so only after the handshake, when a token is asked for already.
  else if (past.last !== undefined && pool.problem !== undefined && isLasting(pool.problem))
    acquisition.fail(pool.problem)
  else waitForChannel(acquisition, past)
}

function waitForChannel(acquisition: Acquisition, past: Past): void {
  const { pool, patience } = acquisition
  const fail = (error: Error) => acquisition.fail(error)
  const waiter: Waiter = {
    onChannel: guarded((channel: BoundChannel) => {
      stop()
      findToken(acquisition, past, channel)
    }, fail),
    onProblem(problem) {
      stop()
      fail(problem)
    },
  }
  const stop = patience.wait(
    () => pool.leave(waiter),
    () => pool.problem ?? past.last,
  )
  pool.wait(waiter)
}

function findToken(acquisition: Acquisition, past: Past, channel: BoundChannel): void {
  const { pool, tokens, patience } = acquisition
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
  const stop = patience.wait(leave, () => past.last)
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
    // The issuer closed the channel over its certificate: a new one may fare better, but not at any pace.
    if (namesCertificate(problem.reason) && !channel.open) pool.refuse(channel)
    pool.release(channel)
    tryAgain(acquisition, past, problem, left)
  })
  const fail = (error: Error) => acquisition.fail(error)
  tokens.get(channel).then(guarded(onToken, fail), guarded(onProblem, fail))
}

function tryAgain(acquisition: Acquisition, past: Past, problem: ClientError, left: number): void {
  // An issuer that was not reached has refused nothing; then patience is the limit, and the pool sets the pace.
  const refusals = problem.status === undefined ? past.refusals : new Set([...past.refusals, problem])
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
  const stop = acquisition.patience.wait(
    () => clearTimeout(timer),
    () => problem,
  )
}
