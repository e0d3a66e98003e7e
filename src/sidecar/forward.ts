// One request to the upstream, and its answer back to the program. Nothing is gathered on the way: whoever reads slowly
// makes the other side write slowly, and whoever goes away ends the request on the other side too.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { guarded } from '../core/guard.ts'
import { answerFailure, endWithBody } from './answer.ts'
import { readBody } from './body.ts'
import { explainRejection, type Failure, failures } from './failures.ts'
import { readLength } from './framing.ts'
import { buildAnswerHeaders, buildRequestHeaders } from './headers.ts'

export interface Forward {
  readonly dispatcher: Dispatcher
  /** With its query. */
  readonly path: string
  /** Seconds in which something must move until the answer begins. */
  readonly timeout: number
  /** Receives each unexpected error. */
  readonly onError: (error: Error) => void
}

/** Answers a request with what the upstream answers, or with what came in the way. Never rejects. */
export async function forward(request: IncomingMessage, response: ServerResponse, options: Forward): Promise<void> {
  const { dispatcher, path, timeout, onError } = options
  const { method = 'GET', socket } = request // undici takes the socket out of a body that it has sent
  let controller: Dispatcher.DispatchController | undefined
  let over = false
  let length: number | undefined
  let passed = 0

  const giveUp = (failure: Failure) => {
    if (over) return
    over = true
    clearInterval(watch)
    if (response.headersSent)
      response.destroy() // half an answer must not look like a whole one
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
      length = readLength(method, status, headers)
      clearInterval(watch)
      endWithBody(response)
      try {
        response.writeHead(status, buildAnswerHeaders(headers, status))
      } catch {
        return giveUp(failures.unfit)
      }
      // A body that came with its head goes out with it; the head of an event stream goes out before any event.
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
    // Time is watched here, and only until an answer begins: nobody knows when an event stream has its next event.
    if (!over) dispatcher.dispatch({ path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 }, handler)
  } catch (error) {
    fail(error)
  }
}
