// One attempt to send a request over one channel. It holds the channel until the response has ended, and discards a
// response after which the request is sent again.
import { type Dispatcher, errors } from 'undici'
import { parseObject } from '../../core/compact-jws.ts'
import { guarded } from '../../core/guard.ts'
import { isDelimited } from '../connection/answer-framing.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { UnprocessedError } from '../connection/transport.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import type { Lease } from './acquire.ts'
import type { AnswerHeaders, Caller } from './caller.ts'
import { describeBreak, type FailurePoint, isBreak, isTimeout } from './retry.ts'

/** The request that an attempt belongs to. */
export interface Attempted {
  readonly caller: Caller
  readonly method: string
  /** Called when the server may have seen part of the request. */
  start(below: Dispatcher.DispatchController): void
  /** Returns what follows this response when the caller does not get it; undefined when the caller gets it. */
  planAfterAnswer(status: number, headers: AnswerHeaders, lease: Lease): (() => void) | undefined
  /** The `HOST:PORT` that the request is sent to. */
  readonly host: string
  /** Called when the server refused the certificate of the channel. */
  refuse(channel: BoundChannel): void
  /** Called when the attempt failed before the response began. */
  breakOff(error: Error, point: FailurePoint): void
  /** Called when the channel is free again, or broken: nothing more is sent over it. */
  release(channel: BoundChannel, isBroken?: boolean): void
}

/** Octets of a discarded response that are read to keep its connection open. */
const longestSwallowed = 65_536

/** Octets of an error response that are searched for its reason. */
const longestRefusal = 4096

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #exchange: Attempted
  readonly #lease: Lease
  #written = false
  #answers = false
  #swallowed = 0
  #refusal: Buffer[] | undefined
  #after: (() => void) | undefined

  constructor(exchange: Attempted, lease: Lease) {
    this.#exchange = exchange
    this.#lease = lease
  }

  onRequestStart(below: Dispatcher.DispatchController): void {
    // Aborted while queued. Throwing here writes nothing and keeps the connection.
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
    // tlsbound servers give the reason of a refusal only in the body.
    if (status === 401 && Number(headers['content-length']) <= longestRefusal) this.#refusal = []
    this.#after = this.#exchange.planAfterAnswer(status, headers, this.#lease)
    if (this.#after !== undefined) return
    const { channel } = this.#lease
    if (channel.protocol === 'http/1.1' && !isDelimited(this.#exchange.method, status, headers))
      throw new ClientError('answer_endless', { address: this.#exchange.host }) // ends the connection
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
    const { channel } = this.#lease
    const { reason } = (this.#refusal && parseObject(Buffer.concat(this.#refusal).toString())) ?? {}
    if (namesCertificate(reason)) this.#exchange.refuse(channel)
    this.#exchange.release(channel)
    if (this.#after !== undefined) this.#after()
    else this.#exchange.caller.end(below, trailers)
  }

  onResponseError(_below: Dispatcher.DispatchController | null, error: Error): void {
    const { caller, host } = this.#exchange
    const end = () => {
      // An HTTP/1.1 connection breaks with its request. An HTTP/2 stream can break alone.
      const breaksBoth = this.#lease.channel.protocol === 'http/1.1' && (this.#written || isBreak(error))
      const isBroken = breaksBoth || isTimeout(error)
      this.#exchange.release(this.#lease.channel, isBroken)
      if (caller.ended) return
      if (this.#after !== undefined) this.#after()
      else if (this.#answers) caller.fail(describeBreak(error, 'unknown', host))
      else this.#exchange.breakOff(error, this.#failurePointOf(error))
    }
    // Deferred: undici is still cleaning up, and does not expect another request here.
    queueMicrotask(guarded(end, problem => caller.fail(problem)))
  }

  #failurePointOf(error: Error): FailurePoint {
    if (!this.#written) return 'unwritten'
    return error instanceof UnprocessedError ? 'unprocessed' : 'unknown'
  }
}
