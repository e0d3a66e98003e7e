// One request of the caller, until it has its answer: it waits for a channel and a token, is sent, and is sent again where
// that is safe.
import type { Dispatcher } from 'undici'
import { guarded } from '../../core/guard.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError } from '../errors.ts'
import type { HeaderList } from '../headers.ts'
import type { Proofs } from '../tokens/proofs.ts'
import type { TokenSupply } from '../tokens/token-supply.ts'
import { type Acquisition, acquire, type Means } from './acquire.ts'
import { Attempt, type Attempted } from './attempt.ts'
import { type AnswerHeaders, Caller } from './caller.ts'
import { createPatience, type Patience } from './patience.ts'
import type { Pool } from './pool.ts'
import {
  announcesEnd,
  describeBreak,
  type Fate,
  isSafeAfter,
  maximumTries,
  maximumUnwritten,
  type Remedy,
  readRemedy,
  waitAfterAnswer,
} from './repeat.ts'

export interface ExchangeParts {
  /** Where requests go, as `HOST:PORT`. */
  readonly host: string
  readonly pool: Pool
  readonly tokens: TokenSupply
  readonly proofs: Proofs
  /** Milliseconds that a request waits for a connection and a token. */
  readonly patience: number
  onRepeat(): void
  onEnd(exchange: Exchange): void
}

/** What the caller gave to `dispatch`, with the headers in one form. */
export type Order = Omit<Dispatcher.DispatchOptions, 'headers'> & { readonly headers: HeaderList }

/** What stood in the way as long as there was patience. */
function describeDelay(cause: Error | undefined, address: string): ClientError {
  return new ClientError('timed_out', { cause, ...(cause === undefined && { address }) })
}

export class Exchange implements Acquisition, Attempted {
  readonly caller: Caller
  readonly method: string
  readonly host: string
  readonly pool: Pool
  readonly tokens: TokenSupply
  #patience: Patience | undefined
  readonly #parts: ExchangeParts
  readonly #order: Order
  readonly #tried: Remedy[] = []
  /** How often it was sent, and how often its channel had ended before anything was. */
  #tries = 0
  #unwritten = 0

  constructor(order: Order, handler: Dispatcher.DispatchHandler, parts: ExchangeParts) {
    this.caller = new Caller(handler, () => {
      this.#patience?.leave()
      parts.onEnd(this)
    })
    this.#order = order
    this.method = order.method
    this.#parts = parts
    this.host = parts.host
    this.pool = parts.pool
    this.tokens = parts.tokens
  }

  /** Made when there is something to wait for, which is seldom. */
  get patience(): Patience {
    this.#patience ??= createPatience(this.#parts.patience, cause => this.fail(describeDelay(cause, this.host)))
    return this.#patience
  }

  begin(): void {
    this.caller.begin()
    this.#next()
  }

  // What becomes of waiting for a channel and a token.

  send(means: Means): void {
    const { channel, token } = means
    try {
      const headers = [...this.#order.headers, 'authorization', token.authorization]
      const proof = this.#parts.proofs.find(channel, token)
      if (proof !== undefined) headers.push('session-binding-proof', proof)
      const options = { ...this.#order, headers } as Dispatcher.DispatchOptions
      channel.dispatcher.dispatch(options, new Attempt(this, means))
    } catch (error) {
      this.pool.release(channel)
      this.fail(error as Error)
    }
  }

  fail(error: Error): void {
    this.caller.fail(error)
  }

  // What becomes of an attempt.

  start(below: Dispatcher.DispatchController): void {
    this.caller.below = below
    if (this.#tries > 0) this.#parts.onRepeat()
    this.#tries += 1
    this.#patience?.renew()
  }

  planAfterAnswer(status: number, headers: AnswerHeaders, { channel, token }: Means): (() => void) | undefined {
    // A server that refuses us is well, but gives no reason to come back faster.
    if (status !== 401) this.pool.answered(channel)
    if (announcesEnd(headers)) this.pool.retire(channel)
    const wait = waitAfterAnswer(this.#order, status, headers, this.#tries, this.#tried)
    const remedy = readRemedy(status, headers)
    if (remedy === 'token') this.tokens.discard(token)
    if (remedy === 'proof') this.#parts.proofs.renew(channel, token)
    if (remedy !== undefined) this.#tried.push(remedy)
    if (wait === undefined) return undefined
    return () => (wait === 0 ? this.#next() : this.#pause(wait))
  }

  breakOff(error: Error, fate: Fate): void {
    if (fate === 'unwritten') this.#unwritten += 1
    const isLast = this.#tries >= maximumTries || this.#unwritten >= maximumUnwritten
    if (isSafeAfter(error, fate, this.#order) && !isLast) this.#next()
    else this.fail(describeBreak(error, fate, this.host))
  }

  refuse(channel: BoundChannel): void {
    this.pool.refuse(channel)
  }

  release(channel: BoundChannel, isBroken = false): void {
    this.caller.below = undefined
    if (isBroken) this.pool.retire(channel)
    this.tokens.renew(channel)
    this.pool.release(channel)
  }

  // What it does by itself.

  #next(): void {
    if (!this.caller.ended) acquire(this)
  }

  #pause(milliseconds: number): void {
    const again = () => {
      stop()
      this.#next()
    }
    const fail = (error: Error) => this.fail(error)
    const timer = setTimeout(guarded(again, fail), milliseconds)
    const stop = this.patience.wait(() => clearTimeout(timer))
  }
}
