// One request over HTTP/2: from undici's options to a stream, from the stream to undici's handler (RFC 9113 §8).
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { pipeline, Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { guarded } from '../../core/guard.ts'
import { readBody } from './http2-body.ts'
import { watchEnd } from './http2-end.ts'
import { buildHttp2Headers } from './http2-headers.ts'
import { endedError, UnprocessedError } from './transport.ts'

/** Milliseconds that nothing may happen for, before the answer begins and within it, unless the request says otherwise. */
const idleTimeout = 300_000

/** What the connection of a stream has to know of it. */
export interface StreamEvents {
  opened(stream: ClientHttp2Stream): void
  answered(): void
  gone(): void
}

/** Sends a request and tells `handler` of what comes. */
export function openStream(
  http2: ClientHttp2Session,
  authority: string,
  options: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
  events: StreamEvents,
): void {
  let stream: ClientHttp2Stream | undefined
  let ended = false
  const timeouts = { headers: options.headersTimeout ?? idleTimeout, body: options.bodyTimeout ?? idleTimeout }
  const controller: Dispatcher.DispatchController & { aborted: boolean; paused: boolean; reason: Error | null } = {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders: null,
    rawTrailers: null,
    abort(reason?: Error) {
      if (ended) return
      controller.aborted = true
      controller.reason = reason ?? new errors.RequestAbortedError()
      fail(controller.reason)
    },
    pause() {
      controller.paused = true
      stream?.pause()
      stream?.setTimeout(0) // the reader is slow, not the server
    },
    resume() {
      controller.paused = false
      stream?.setTimeout(timeouts.body)
      stream?.resume()
    },
  }

  function fail(error: Error): void {
    if (ended) return
    ended = true
    stream?.close(constants.NGHTTP2_CANCEL)
    stream?.destroy() // it could wait for a reader otherwise, and keep its buffers
    tellError(error)
  }
  function tellError(error: Error): void {
    try {
      handler.onResponseError?.(controller, error)
    } catch {
      // The request has ended, and whoever is told of it fails: nobody is left.
    }
  }

  try {
    if (http2.closed || http2.destroyed) throw endedError()
    const { content, length, type } = readBody(options.body)
    const headers = buildHttp2Headers(options, authority, length)
    if (type !== undefined) headers['content-type'] ??= type
    handler.onRequestStart?.(controller, null)
    if (ended) return
    stream = request(headers, content === null)
    follow(stream)
    if (content instanceof Readable) {
      content.once('error', fail)
      pipeline(content, stream, () => {}) // the stream itself tells what else goes wrong
    } else if (content !== null) stream.end(content)
  } catch (error) {
    fail(error as Error)
  }

  /** What Node throws here is about the header section, and nothing of it was sent; all else comes as an event. */
  function request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    try {
      return http2.request(headers, { endStream })
    } catch (cause) {
      throw Object.assign(new errors.InvalidArgumentError((cause as Error).message), { cause })
    }
  }

  function follow(opened: ClientHttp2Stream): void {
    events.opened(opened)
    const isComplete = watchEnd(opened)
    let unsent = false
    let problem: Error | undefined
    let trailers: IncomingHttpHeaders = {}
    /** What a listener throws, or the handler that it calls, ends the request alone. */
    // biome-ignore lint/suspicious/noExplicitAny: each event has arguments of its own
    const on = (event: string, listener: (given: any) => void) => opened.on(event, guarded(listener, fail))
    opened.setTimeout(timeouts.headers)
    on('headers', (headers: object) => {
      if (!ended) handler.onResponseStart?.(controller, ...readHead(headers))
    })
    on('response', (headers: object) => {
      events.answered()
      if (ended) return
      opened.setTimeout(timeouts.body)
      const [status, fields] = readHead(headers)
      controller.rawHeaders = fields
      handler.onResponseStart?.(controller, status, fields, '')
      // Not before: of a head and a body in one piece, Node tells the body first to whoever listens already.
      on('data', (chunk: Buffer) => {
        if (!ended) handler.onResponseData?.(controller, chunk)
      })
    })
    on('trailers', (fields: object) => {
      trailers = fields as IncomingHttpHeaders
    })
    on('timeout', () => {
      fail(controller.rawHeaders === null ? new errors.HeadersTimeoutError() : new errors.BodyTimeoutError())
    })
    // Node refuses to send what a GOAWAY came before; the server has not seen it.
    on('frameError', (type: number) => {
      unsent ||= type === 1
    })
    on('error', (error: Error) => {
      problem = error
    })
    on('end', () => {
      if (ended || controller.rawHeaders === null || !isComplete()) return // nghttp2 has compared it with content-length
      ended = true
      controller.rawTrailers = trailers
      guarded(() => handler.onResponseEnd?.(controller, trailers), tellError)()
    })
    on('close', () => {
      events.gone()
      if (ended) return
      const isRefused = unsent || opened.id === undefined || opened.rstCode === constants.NGHTTP2_REFUSED_STREAM
      fail(
        isRefused
          ? new UnprocessedError({ cause: problem })
          : Object.assign(new errors.SocketError('the answer broke off'), { cause: problem }),
      )
    })
  }
}

function readHead(headers: object): [status: number, fields: IncomingHttpHeaders] {
  const { ':status': status, ...fields } = headers as IncomingHttpHeaders
  return [Number(status), fields]
}
