// Forwards one request to the upstream, and its response to the program. Nothing is collected on the way: a slow reader
// slows the writer down, and when one side disconnects, the request on the other side ends.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { bodyLengthOf } from '../client/connection/answer-framing.ts'
import { guarded } from '../core/guard.ts'
import { answerFailure, endWithBody } from './answer.ts'
import { readBody } from './body.ts'
import { explainRejection, type Failure, failures } from './failures.ts'
import { buildAnswerHeaders, buildRequestHeaders } from './headers.ts'

export interface Forward {
  readonly dispatcher: Dispatcher
  /** The path with its query. */
  readonly path: string
  /** Seconds without progress until the response begins. */
  readonly timeout: number
  /** Called for each unexpected error. */
  readonly onError: (error: Error) => void
}

/** Sends the upstream's response or an error response. Never rejects. */
export async function forward(request: IncomingMessage, response: ServerResponse, options: Forward): Promise<void> {
  const { dispatcher, path, timeout, onError } = options
  const { method = 'GET', socket } = request // undici removes the socket from a body that it has sent
  let controller: Dispatcher.DispatchController | undefined
  let over = false
  let length: number | undefined
  let passed = 0

  const giveUp = (failure: Failure) => {
    if (over) return
    over = true
    clearInterval(watch)
    if (response.headersSent)
      response.destroy() // a truncated response must not look complete
    else if (!response.destroyed) answerFailure(response, failure)
    controller?.abort(new Error(failure.description))
  }
  const fail = (error: unknown) => {
    const failure = explainRejection(error)
    if (failure === undefined && !over) onError(error as Error)
    giveUp(failure ?? failures.internal)
  }
  let received = socket.bytesRead
  const look = () => {
    if (socket.bytesRead === received) giveUp(controller === undefined ? failures.late : failures.noAnswer)
    received = socket.bytesRead
  }
  const watch = setInterval(guarded(look, fail), timeout * 1000)
  response.once(
    'close',
    guarded(() => giveUp(failures.programGone), fail),
  )

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started
    },
    onResponseStart(_started, status, headers) {
      if (over || status < 200) return
      length = bodyLengthOf(method, status, headers)
      clearInterval(watch)
      endWithBody(response)
      try {
        response.writeHead(status, buildAnswerHeaders(headers, status))
      } catch {
        return giveUp(failures.unfit)
      }
      // Sends head and first body octets together; but the head of an event stream goes out before its first event.
      queueMicrotask(guarded(() => passed > 0 || over || response.flushHeaders(), fail))
    },
    onResponseData(running, chunk) {
      if (over) return
      passed += chunk.length
      if (length !== undefined && passed > length) return giveUp(failures.unfit)
      if (response.write(chunk)) return
      running.pause()
      response.once(
        'drain',
        guarded(() => running.resume(), fail),
      )
    },
    onResponseEnd() {
      if (over) return
      if (length !== undefined && passed < length) return giveUp(failures.unfit)
      over = true
      response.end()
    },
    onResponseError: (_controller, error) => fail(error),
  }
  try {
    const headers = buildRequestHeaders(request)
    const body = await readBody(request)
    // The deadline ends with the head of the response, because an event stream may be silent for long.
    if (!over) dispatcher.dispatch({ path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 }, handler)
  } catch (error) {
    fail(error)
  }
}
