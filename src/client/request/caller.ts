// The caller of a request: it can abort and pause, and receives the events. It is the controller that undici's handler
// sees, the same one for every attempt.
import { type Dispatcher, errors } from 'undici'

/** Headers as undici passes them: names in lower case. */
export type AnswerHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

type RawHeaders = Exclude<Dispatcher.DispatchController['rawHeaders'], undefined>

/** Is notified once, when the caller gets no more events but the last one. */
export interface Ending {
  onEnd(): void
}

export class Caller implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: RawHeaders = null
  rawTrailers: RawHeaders = null
  /** No more events are passed on. */
  ended = false
  /** The controller of the current attempt. */
  below: Dispatcher.DispatchController | undefined
  readonly #handler: Dispatcher.DispatchHandler
  readonly #exchange: Ending

  constructor(handler: Dispatcher.DispatchHandler, exchange: Ending) {
    this.#handler = handler
    this.#exchange = exchange
  }

  // Actions of the caller.

  abort(reason?: Error): void {
    if (this.ended) return
    this.aborted = true
    this.reason = reason ?? new errors.RequestAbortedError()
    this.fail(this.reason)
    this.below?.abort(this.reason)
  }

  pause(): void {
    this.paused = true
    this.below?.pause()
  }

  resume(): void {
    this.paused = false
    this.below?.resume()
  }

  // Events for the caller. An exception in a handler ends its request only.

  begin(): void {
    try {
      this.#handler.onRequestStart?.(this, null)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  /** Passes on an interim response. */
  inform(status: number, headers: AnswerHeaders): void {
    if (!this.ended) this.#start(status, headers)
  }

  answer(below: Dispatcher.DispatchController, status: number, headers: AnswerHeaders, message?: string): void {
    this.rawHeaders = below.rawHeaders ?? null
    this.#start(status, headers, message)
    if (this.paused) below.pause()
  }

  data(chunk: Buffer): void {
    if (this.ended) return
    try {
      this.#handler.onResponseData?.(this, chunk)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  end(below: Dispatcher.DispatchController, trailers: AnswerHeaders): void {
    if (this.ended) return
    this.rawTrailers = below.rawTrailers ?? null
    this.#finish()
    try {
      this.#handler.onResponseEnd?.(this, trailers)
    } catch {} // its request has ended
  }

  fail(error: Error): void {
    if (this.ended) return
    this.#finish()
    try {
      this.#handler.onResponseError?.(this, error)
    } catch {} // its request has ended
  }

  #start(status: number, headers: AnswerHeaders, message?: string): void {
    try {
      this.#handler.onResponseStart?.(this, status, headers, message)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #finish(): void {
    this.ended = true
    this.#exchange.onEnd()
  }
}
