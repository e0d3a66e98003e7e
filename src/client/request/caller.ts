// The caller of a request: it can abort and pause, and receives the events. It is the controller that undici's handler
// sees, the same one for every attempt.
import { type Dispatcher, errors } from 'undici'

/** Headers as undici passes them: names in lower case. */
export type AnswerHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

type RawHeaders = Exclude<Dispatcher.DispatchController['rawHeaders'], undefined>

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
  readonly #onEnd: () => void

  constructor(handler: Dispatcher.DispatchHandler, onEnd: () => void) {
    this.#handler = handler
    this.#onEnd = onEnd
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
    this.#tell(() => this.#handler.onRequestStart?.(this, null))
  }

  /** Passes on an interim response. */
  inform(status: number, headers: AnswerHeaders): void {
    if (!this.ended) this.#tell(() => this.#handler.onResponseStart?.(this, status, headers))
  }

  answer(below: Dispatcher.DispatchController, status: number, headers: AnswerHeaders, message?: string): void {
    this.rawHeaders = below.rawHeaders ?? null
    this.#tell(() => this.#handler.onResponseStart?.(this, status, headers, message))
    if (this.paused) below.pause()
  }

  data(chunk: Buffer): void {
    if (!this.ended) this.#tell(() => this.#handler.onResponseData?.(this, chunk))
  }

  end(below: Dispatcher.DispatchController, trailers: AnswerHeaders): void {
    if (this.ended) return
    this.rawTrailers = below.rawTrailers ?? null
    this.#finish()
    this.#tell(() => this.#handler.onResponseEnd?.(this, trailers))
  }

  fail(error: Error): void {
    if (this.ended) return
    this.#finish()
    this.#tell(() => this.#handler.onResponseError?.(this, error))
  }

  #tell(event: () => void): void {
    try {
      event()
    } catch (error) {
      this.abort(error as Error) // does nothing after the end
    }
  }

  #finish(): void {
    this.ended = true
    this.#onEnd()
  }
}
