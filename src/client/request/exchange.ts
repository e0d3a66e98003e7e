// One request of the caller until its response: it acquires a channel and a token, is sent, and is sent again where
// that is safe.
import type { Dispatcher } from 'undici'
import { guarded } from '../../core/guard.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError } from '../errors.ts'
import { type NormalizedRequest, Signable } from '../signing/signable.ts'
import type { SignatureDemands } from '../signing/signature-demands.ts'
import type { Proofs } from '../tokens/proofs.ts'
import type { TokenSupply } from '../tokens/token-supply.ts'
import { type Acquisition, acquire, type Lease } from './acquire.ts'
import { Attempt, type Attempted } from './attempt.ts'
import { type AnswerHeaders, Caller } from './caller.ts'
import type { Pool } from './pool.ts'
import {
  announcesEnd,
  describeBreak,
  type FailurePoint,
  isRefusal,
  isSafeAfter,
  maximumTries,
  maximumUnwritten,
  parseRetryWith,
  type RetryWith,
  waitAfterAnswer,
} from './retry.ts'
import { createTimeout, type Timeout } from './timeout.ts'

export interface ExchangeParts {
  /** The `HOST:PORT` of the origin. */
  readonly host: string
  readonly pool: Pool
  readonly tokens: TokenSupply
  readonly proofs: Proofs
  readonly signatures: SignatureDemands
  /** Milliseconds that a request may wait for a connection and a token. */
  readonly timeout: number
  onRepeat(): void
  onEnd(exchange: Exchange): void
}

/** Builds the error for a timeout, from the cause of the delay. */
function describeDelay(cause: Error | undefined, address: string): ClientError {
  return new ClientError('timed_out', { cause, ...(cause === undefined && { address }) })
}

export class Exchange implements Acquisition, Attempted {
  readonly caller: Caller
  readonly method: string
  readonly host: string
  readonly pool: Pool
  readonly tokens: TokenSupply
  #timeout: Timeout | undefined
  readonly #parts: ExchangeParts
  readonly #signable: Signable
  readonly #tried: RetryWith[] = []
  /** How often it was sent, and how often its channel ended before anything was written. */
  #tries = 0
  #unwritten = 0

  constructor(request: NormalizedRequest, handler: Dispatcher.DispatchHandler, parts: ExchangeParts) {
    this.caller = new Caller(handler, this)
    this.#signable = new Signable(request, parts.signatures)
    this.method = request.method
    this.#parts = parts
    this.host = parts.host
    this.pool = parts.pool
    this.tokens = parts.tokens
  }

  /** Created on the first wait; most requests need none. */
  get timeout(): Timeout {
    this.#timeout ??= createTimeout(this.#parts.timeout, cause => this.fail(describeDelay(cause, this.host)))
    return this.#timeout
  }

  begin(): void {
    this.caller.begin()
    this.#next()
  }

  // Results of acquiring a channel and a token.

  send(lease: Lease): void {
    const { channel, token } = lease
    try {
      const { request } = this.#signable
      const headers = [...request.headers, 'authorization', token.authorization]
      if (this.#signable.isSigned) headers.push(...this.#signable.sign(lease))
      const proof = this.#parts.proofs.find(channel, token)
      if (proof !== undefined) headers.push('session-binding-proof', proof)
      const options = { ...request, headers } as Dispatcher.DispatchOptions
      channel.dispatcher.dispatch(options, new Attempt(this, lease))
    } catch (error) {
      this.pool.release(channel)
      this.fail(error as Error)
    }
  }

  fail(error: Error): void {
    this.caller.fail(error)
  }

  // The end for the caller, whatever the result.

  onEnd(): void {
    this.#timeout?.leave()
    this.#signable.stop()
    this.#parts.onEnd(this)
  }

  // Results of an attempt.

  start(below: Dispatcher.DispatchController): void {
    this.caller.below = below
    if (this.#tries > 0) this.#parts.onRepeat()
    this.#tries += 1
    this.#timeout?.renew()
  }

  planAfterAnswer(status: number, headers: AnswerHeaders, { channel, token }: Lease): (() => void) | undefined {
    // A 401 shows that the server works, but must not reset the backoff.
    if (status !== 401) this.pool.answered(channel)
    if (announcesEnd(headers)) this.pool.retire(channel)
    if (!isRefusal(status)) return undefined
    const { request, isSigned } = this.#signable
    const isAsked = this.#parts.signatures.learn(request.path, status, headers)
    const retryWith = isAsked && !isSigned ? 'signature' : parseRetryWith(status, headers)
    const wait = waitAfterAnswer(request, { status, headers, retryWith }, this.#tries, this.#tried)
    if (retryWith === 'token') this.tokens.discard(token)
    if (retryWith === 'proof') this.#parts.proofs.renew(channel, token)
    if (retryWith !== undefined) this.#tried.push(retryWith)
    if (wait === undefined) return undefined
    return () => (wait === 0 ? this.#next() : this.#pause(wait))
  }

  breakOff(error: Error, point: FailurePoint): void {
    if (point === 'unwritten') this.#unwritten += 1
    const isLast = this.#tries >= maximumTries || this.#unwritten >= maximumUnwritten
    if (isSafeAfter(error, point, this.#signable.request) && !isLast) this.#next()
    else this.fail(describeBreak(error, point, this.host))
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

  // Own steps.

  #next(): void {
    if (this.caller.ended) return
    const collected = this.#signable.prepare()
    if (collected === undefined) {
      acquire(this)
      return
    }
    const fail = (error: Error) => this.fail(error)
    const send = () => {
      if (!this.caller.ended) acquire(this)
    }
    collected.then(guarded(send, fail), fail)
  }

  #pause(milliseconds: number): void {
    const again = () => {
      stop()
      this.#next()
    }
    const fail = (error: Error) => this.fail(error)
    const timer = setTimeout(guarded(again, fail), milliseconds)
    const stop = this.timeout.wait(() => clearTimeout(timer))
  }
}
