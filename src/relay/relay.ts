// Passes one request to an upstream, and its response to the client. Nothing is collected on the way: a slow reader slows the
// writer down, and when one side disconnects, the request on the other side ends.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { bodyLengthOf, hasOtherCoding } from '../client/connection/answer-framing.ts'
import { guarded } from '../core/guard.ts'
import { whenReady } from '../core/when-ready.ts'
import { connectionFields, writeAnswerHead } from './connection-fields.ts'

export interface Relay {
  readonly dispatcher: Pick<Dispatcher, 'dispatch'>
  readonly method: string
  /** The path with its query. */
  readonly path: string
  readonly build: () => Sent | Promise<Sent>
  /** Seconds without progress until the response begins. Afterwards there is no limit: an event stream may be silent. */
  readonly timeout: number
  /** Returns how many octets of the request have arrived. */
  readonly received: () => number
  /** Called before the head of the response is sent. */
  readonly onHead?: () => void
  /** Called once, if the response cannot be passed on. If its head was sent, it has been truncated. */
  readonly onFailure: (failure: RelayFailure, error?: Error) => void
}

/** What is sent to the upstream. */
export interface Sent {
  /** Names and values, alternating. */
  readonly headers: string[]
  readonly body: Buffer | Readable | null
}

/**
 * `late`: the client stopped sending. `no_response`: the upstream did not respond in time. `unfit`: its response cannot be sent.
 * `gone`: the client disconnected. `failed`: the dispatcher failed, with its error.
 */
export type RelayFailure = 'late' | 'no_response' | 'unfit' | 'gone' | 'failed'

/** Forwards a request. Never throws: every failure is passed to `onFailure`. */
export function relay(response: ServerResponse, options: Relay): void {
  const { dispatcher, method, path, build, timeout, received, onHead, onFailure } = options
  let controller: Dispatcher.DispatchController | undefined
  let over = false
  let length: number | undefined
  let passed = 0
  let hints = 0

  const giveUp = (failure: RelayFailure, error?: Error) => {
    if (over) return
    over = true
    clearInterval(watch)
    if (response.headersSent) truncate(response)
    onFailure(failure, error) // before the abort, which can destroy the body and with it the connection of the client
    controller?.abort(new Error(failure))
  }
  const fail = (error: Error) => giveUp('failed', error)
  let before = received()
  const look = () => {
    const now = received()
    if (now === before) giveUp(controller === undefined ? 'late' : 'no_response')
    before = now
  }
  const watch = setInterval(guarded(look, fail), timeout * 1000)
  response.once(
    'close',
    guarded(() => giveUp('gone'), fail),
  )

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started
      if (over) started.abort(new Error('gone')) // while it waited for a connection
    },
    onResponseStart(_started, status, answered) {
      if (over) return
      if (status < 200) {
        if (status === 103 && hints++ < mostHints) passHints(response, answered)
        return
      }
      if (hasOtherCoding(answered)) return giveUp('unfit') // the client would not learn of it
      length = bodyLengthOf(method, status, answered)
      clearInterval(watch)
      onHead?.()
      if (!writeAnswerHead(response, status, answered)) return giveUp('unfit')
      // Sends head and first body octets together; but the head of an event stream goes out before its first event.
      queueMicrotask(guarded(() => passed > 0 || over || response.flushHeaders(), fail))
    },
    onResponseData(running, chunk) {
      if (over) return
      passed += chunk.length
      if (length !== undefined && passed > length) return giveUp('unfit')
      if (response.write(chunk)) return
      running.pause()
      response.once(
        'drain',
        guarded(() => running.resume(), fail),
      )
    },
    onResponseEnd(_controller, trailers) {
      if (over) return
      if (length !== undefined && passed < length) return giveUp('unfit')
      over = true
      addTrailers(response, trailers)
      response.end()
    },
    onResponseError: (_controller, error) => fail(error),
  }
  const send = ({ headers, body }: Sent) => {
    if (!over) dispatcher.dispatch({ path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 }, handler)
  }
  const start = () => whenReady(build, guarded(send, fail), error => fail(error as Error))
  guarded(start, fail)()
}

/** The most early hints that are passed on for one response: the client may read them slowly. */
export const mostHints = 10

/** Passes early hints on (RFC 8297). No other interim response has anything to say to the client of a gateway. */
function passHints(response: ServerResponse, { link }: IncomingHttpHeaders): void {
  if (link === undefined || response.req.httpVersion === '1.0') return
  try {
    response.writeEarlyHints({ link })
  } catch {} // Node passes only the form of RFC 8288 §3 on
}

/** Ends a response whose head was sent, so that it does not look complete. */
function truncate(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>
  if (stream === undefined) response.destroy()
  else stream?.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/** Fields that trailers must not contain, because a client could take them for a part of the head (RFC 9110 §6.5.1). */
export const notInTrailers: ReadonlySet<string> = new Set([
  ...connectionFields,
  ...['content-length', 'content-encoding', 'content-type', 'content-range', 'host', 'set-cookie', 'www-authenticate'],
])

function addTrailers(response: ServerResponse, trailers: IncomingHttpHeaders = {}): void {
  const allowed = Object.entries(trailers).filter(([name]) => !notInTrailers.has(name))
  if (allowed.length === 0) return
  try {
    response.addTrailers(Object.fromEntries(allowed) as Record<string, string>)
  } catch {} // a field that cannot be sent; the body is complete nevertheless
}

/** Ends the connection with this response if more of the request's body is coming, which will not be read. */
export function endWithBody(request: IncomingMessage, response: ServerResponse): void {
  const { complete, headers } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (hasBody && !complete) response.shouldKeepAlive = false
}
