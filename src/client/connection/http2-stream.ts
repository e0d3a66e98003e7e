// One request over HTTP/2: maps undici's options to a stream, and the stream to undici's handler (RFC 9113 §8).
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { pipeline, Readable } from 'node:stream'
import { type Dispatcher, errors, Response } from 'undici'
import { guarded } from '../../core/guard.ts'
import { buildHttp2Headers } from './http2-headers.ts'
import { endedError, UnprocessedError } from './transport.ts'

/** Milliseconds without activity, before and within the response, unless the request sets its own timeouts. */
const idleTimeout = 300_000

/** Events of a stream for its connection. */
export interface StreamEvents {
  opened(stream: ClientHttp2Stream): void
  answered(): void
  gone(): void
}

/** Sends a request and reports its progress to `handler`. */
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
    stream?.destroy() // otherwise it waits for a reader and keeps its buffers
    tellError(error)
  }
  function tellError(error: Error): void {
    try {
      handler.onResponseError?.(controller, error)
    } catch {
      // The request has ended and its handler fails: the error cannot be reported.
    }
  }

  try {
    if (http2.closed || http2.destroyed) throw endedError()
    const { content, length, type } = normalizeBody(options.body)
    const headers = buildHttp2Headers(options, authority, length)
    if (type !== undefined) headers['content-type'] ??= type
    handler.onRequestStart?.(controller, null)
    if (ended) return
    stream = request(headers, content === null)
    follow(stream)
    if (content instanceof Readable) {
      content.once('error', fail)
      pipeline(content, stream, () => {}) // other errors are reported by the stream
    } else if (content !== null) stream.end(content)
  } catch (error) {
    fail(error as Error)
  }

  /** Opens the stream. Node throws here only for an invalid header section, of which nothing was sent. */
  function request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    try {
      return http2.request(headers, { endStream })
    } catch (cause) {
      throw Object.assign(new errors.InvalidArgumentError((cause as Error).message), { cause })
    }
  }

  function follow(opened: ClientHttp2Stream): void {
    events.opened(opened)
    const isComplete = watchEndStream(opened)
    let unsent = false
    let problem: Error | undefined
    let trailers: IncomingHttpHeaders = {}
    /** Adds a listener. An exception in it, or in the handler that it calls, fails this request only. */
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
      // Not earlier: when head and body arrive together, Node emits 'data' first if there is a listener.
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
    // Node refuses to send a request after GOAWAY; the server has not seen it.
    on('frameError', (type: number) => {
      unsent ||= type === 1
    })
    on('error', (error: Error) => {
      problem = error
    })
    on('end', () => {
      if (ended || controller.rawHeaders === null || !isComplete()) return // nghttp2 has verified the content-length
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
          : Object.assign(new errors.SocketError('the response was truncated'), { cause: problem }),
      )
    })
  }
}

function readHead(headers: object): [status: number, fields: IncomingHttpHeaders] {
  const { ':status': status, ...fields } = headers as IncomingHttpHeaders
  return [Number(status), fields]
}

interface Body {
  readonly content: Uint8Array | Readable | null
  /** Octets; undefined when it is not known in advance. */
  readonly length: number | undefined
  /** The media type that the body implies. */
  readonly type?: string
}

/** Converts the body of undici's options. For `fetch` it is an async iterable. */
function normalizeBody(body: Dispatcher.DispatchOptions['body']): Body {
  if (typeof body === 'string') return normalizeBody(Buffer.from(body))
  if (body === undefined || body === null) return { content: null, length: 0 }
  if (body instanceof Uint8Array) return { content: body.length === 0 ? null : body, length: body.length }
  if (body instanceof Readable) return { content: body, length: undefined }
  if (Symbol.asyncIterator in body)
    return { content: Readable.from(body as AsyncIterable<Uint8Array>), length: undefined }
  const { body: form, headers } = new Response(body)
  const content = form === null ? null : Readable.fromWeb(form)
  return { content, length: undefined, type: headers.get('content-type') ?? 'application/octet-stream' }
}

/**
 * Watches a new stream. The function that it returns says at 'end' whether END_STREAM arrived (RFC 9113 §8.1). Node
 * emits the same 'end' for a stream that was reset without an error, but only after closing it.
 */
function watchEndStream(stream: ClientHttp2Stream): () => boolean {
  let hasEnded = false
  const push = stream.push
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed && !stream.destroyed) hasEnded = true
    return push.call(stream, chunk, encoding)
  }
  return () => hasEnded
}
