// Who gave a request to the client: what they may do while it is under way, and what they are told of it. For undici's
// handler it is the controller, the same one from the beginning to the end, however often the request is sent below.
import { type Dispatcher, errors } from 'undici'

/** As undici gives them: names in lower case. */
export type AnswerHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

type RawHeaders = Exclude<Dispatcher.DispatchController['rawHeaders'], undefined>

export class Caller implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: RawHeaders = null
  rawTrailers: RawHeaders = null
  /** Nothing more is told. */
  ended = false
  /** Of the attempt under way. */
  below: Dispatcher.DispatchController | undefined
  readonly #handler: Dispatcher.DispatchHandler
  readonly #onEnd: () => void

  constructor(handler: Dispatcher.DispatchHandler, onEnd: () => void) {
    this.#handler = handler
    this.#onEnd = onEnd
  }

  // What the caller may do.

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

  // What the caller is told. What a handler throws ends its request, and nothing else.

  begin(): void {
    this.#tell(() => this.#handler.onRequestStart?.(this, null))
  }

  /** An interim answer. */
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
      this.abort(error as Error) // once it has ended, nothing is left to end
    }
  }

  #finish(): void {
    this.ended = true
    this.#onEnd()
  }
}
