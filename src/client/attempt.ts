// One sending of a request over one channel. It borrows the channel until its answer has ended, and swallows an answer
// that is not for the caller, because the request is sent again.
import { type Dispatcher, errors } from 'undici'
import type { Means } from './acquire.ts'
import type { AnswerHeaders, Caller } from './caller.ts'
import type { BoundChannel } from './channel.ts'
import { ClientError } from './errors.ts'
import { showsEnd } from './http1-end.ts'
import { describeBreak, type Fate, isBreak, isTimeout } from './repeat.ts'
import { UnprocessedError } from './transport.ts'

/** The request that an attempt is one of. */
export interface Attempted {
  readonly caller: Caller
  readonly method: string
  /** From here on the server may have seen something of it. */
  start(below: Dispatcher.DispatchController): void
  /** What follows this answer instead of its being given to the caller; undefined: the caller gets it. */
  planAfterAnswer(status: number, headers: AnswerHeaders, means: Means): (() => void) | undefined
  /** It broke before the answer began. */
  breakOff(error: Error, fate: Fate): void
  /** The channel is free again, or broken: nothing more is sent over it. */
  release(channel: BoundChannel, isBroken?: boolean): void
}

/** Octets of an answer that are read for nothing, to keep its connection. */
const longestSwallowed = 65_536

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #exchange: Attempted
  readonly #means: Means
  #written = false
  #answers = false
  #swallowed = 0
  #after: (() => void) | undefined

  constructor(exchange: Attempted, means: Means) {
    this.#exchange = exchange
    this.#means = means
  }

  onRequestStart(below: Dispatcher.DispatchController): void {
    // Aborted while it waited in the queue: thrown here, nothing is written, and the connection lives.
    if (this.#exchange.caller.ended) throw new errors.RequestAbortedError()
    this.#written = true
    this.#exchange.start(below)
  }

  onResponseStart(
    below: Dispatcher.DispatchController,
    status: number,
    headers: AnswerHeaders,
    message?: string,
  ): void {
    if (status < 200) {
      this.#exchange.caller.inform(status, headers)
      return
    }
    this.#after = this.#exchange.planAfterAnswer(status, headers, this.#means)
    if (this.#after !== undefined) return
    const { channel } = this.#means
    if (channel.protocol === 'http/1.1' && !showsEnd(this.#exchange.method, status, headers))
      throw new ClientError('answer_endless') // which ends the connection
    this.#answers = true
    this.#exchange.caller.answer(below, status, headers, message)
  }

  onResponseData(below: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#answers) {
      this.#exchange.caller.data(chunk)
      return
    }
    this.#swallowed += chunk.length
    if (this.#swallowed > longestSwallowed) below.abort(new errors.RequestAbortedError())
  }

  onResponseEnd(below: Dispatcher.DispatchController, trailers: AnswerHeaders): void {
    this.#exchange.release(this.#means.channel)
    if (this.#after !== undefined) this.#after()
    else this.#exchange.caller.end(below, trailers)
  }

  onResponseError(_below: Dispatcher.DispatchController | null, error: Error): void {
    // Later, since undici is in the midst of its own clearing up, where a next request would not be expected.
    queueMicrotask(() => {
      // Over HTTP/1.1 the connection breaks with its request. Over HTTP/2 a stream can break alone.
      const breaksBoth = this.#means.channel.protocol === 'http/1.1' && (this.#written || isBreak(error))
      const isBroken = breaksBoth || isTimeout(error)
      this.#exchange.release(this.#means.channel, isBroken)
      if (this.#exchange.caller.ended) return
      if (this.#after !== undefined) this.#after()
      else if (this.#answers) this.#exchange.caller.fail(describeBreak(error, 'unknown'))
      else this.#exchange.breakOff(error, this.#readFate(error))
    })
  }

  #readFate(error: Error): Fate {
    if (!this.#written) return 'unwritten'
    return error instanceof UnprocessedError ? 'unprocessed' : 'unknown'
  }
}
