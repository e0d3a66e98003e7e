// One sending of a request over one channel. It borrows the channel until its answer has ended, and swallows an answer
// that is not for the caller, because the request is sent again.
import { type Dispatcher, errors } from 'undici'
import { parseObject } from '../../core/compact-jws.ts'
import { guarded } from '../../core/guard.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { showsEnd } from '../connection/http1-end.ts'
import { UnprocessedError } from '../connection/transport.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import type { Means } from './acquire.ts'
import type { AnswerHeaders, Caller } from './caller.ts'
import { describeBreak, type Fate, isBreak, isTimeout } from './repeat.ts'

/** The request that an attempt is one of. */
export interface Attempted {
  readonly caller: Caller
  readonly method: string
  /** From here on the server may have seen something of it. */
  start(below: Dispatcher.DispatchController): void
  /** What follows this answer instead of its being given to the caller; undefined: the caller gets it. */
  planAfterAnswer(status: number, headers: AnswerHeaders, means: Means): (() => void) | undefined
  /** Where it is sent to, as `HOST:PORT`. */
  readonly host: string
  /** The server refused the certificate that its channel presents. */
  refuse(channel: BoundChannel): void
  /** It broke before the answer began. */
  breakOff(error: Error, fate: Fate): void
  /** The channel is free again, or broken: nothing more is sent over it. */
  release(channel: BoundChannel, isBroken?: boolean): void
}

/** Octets of an answer that are read for nothing, to keep its connection. */
const longestSwallowed = 65_536

/** Octets of a refusal in which its reason is looked for. */
const longestRefusal = 4096

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #exchange: Attempted
  readonly #means: Means
  #written = false
  #answers = false
  #swallowed = 0
  #refusal: Buffer[] | undefined
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
    // Our servers give the reason of a refusal in its body alone.
    if (status === 401 && Number(headers['content-length']) <= longestRefusal) this.#refusal = []
    this.#after = this.#exchange.planAfterAnswer(status, headers, this.#means)
    if (this.#after !== undefined) return
    const { channel } = this.#means
    if (channel.protocol === 'http/1.1' && !showsEnd(this.#exchange.method, status, headers))
      throw new ClientError('answer_endless', { address: this.#exchange.host }) // which ends the connection
    this.#answers = true
    this.#exchange.caller.answer(below, status, headers, message)
  }

  onResponseData(below: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#refusal?.push(chunk)
    if (this.#answers) {
      this.#exchange.caller.data(chunk)
      return
    }
    this.#swallowed += chunk.length
    if (this.#swallowed > longestSwallowed) below.abort(new errors.RequestAbortedError())
  }

  onResponseEnd(below: Dispatcher.DispatchController, trailers: AnswerHeaders): void {
    const { channel } = this.#means
    const { reason } = (this.#refusal && parseObject(Buffer.concat(this.#refusal).toString())) ?? {}
    if (namesCertificate(reason)) this.#exchange.refuse(channel)
    this.#exchange.release(channel)
    if (this.#after !== undefined) this.#after()
    else this.#exchange.caller.end(below, trailers)
  }

  onResponseError(_below: Dispatcher.DispatchController | null, error: Error): void {
    const { caller, host } = this.#exchange
    const end = () => {
      // Over HTTP/1.1 the connection breaks with its request. Over HTTP/2 a stream can break alone.
      const breaksBoth = this.#means.channel.protocol === 'http/1.1' && (this.#written || isBreak(error))
      const isBroken = breaksBoth || isTimeout(error)
      this.#exchange.release(this.#means.channel, isBroken)
      if (caller.ended) return
      if (this.#after !== undefined) this.#after()
      else if (this.#answers) caller.fail(describeBreak(error, 'unknown', host))
      else this.#exchange.breakOff(error, this.#readFate(error))
    }
    // Later, since undici is in the midst of its own clearing up, where a next request would not be expected.
    queueMicrotask(guarded(end, problem => caller.fail(problem)))
  }

  #readFate(error: Error): Fate {
    if (!this.#written) return 'unwritten'
    return error instanceof UnprocessedError ? 'unprocessed' : 'unknown'
  }
}
