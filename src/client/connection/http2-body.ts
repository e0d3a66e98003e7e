// The body of a request over HTTP/2: octets that are all there, or a stream of them.
import { Readable } from 'node:stream'
import { type Dispatcher, Response } from 'undici'

export interface Http2Body {
  readonly content: Uint8Array | Readable | null
  /** Octets; undefined when it is not known before. */
  readonly length: number | undefined
  /** What the body says of itself. */
  readonly type?: string
}

/** Reads the body that undici's options hold. What fetch makes of one is an async iterable. */
export function readBody(body: Dispatcher.DispatchOptions['body']): Http2Body {
  if (typeof body === 'string') return readBody(Buffer.from(body))
  if (body === undefined || body === null) return { content: null, length: 0 }
  if (body instanceof Uint8Array) return { content: body.length === 0 ? null : body, length: body.length }
  if (body instanceof Readable) return { content: body, length: undefined }
  if (Symbol.asyncIterator in body)
    return { content: Readable.from(body as AsyncIterable<Uint8Array>), length: undefined }
  const { body: form, headers } = new Response(body)
  const content = form === null ? null : Readable.fromWeb(form)
  return { content, length: undefined, type: headers.get('content-type') ?? 'application/octet-stream' }
}
