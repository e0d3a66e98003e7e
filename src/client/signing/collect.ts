// Collects the body of a request that is signed: its digest must be known before the head is sent (RFC 9530 §2). Callers who
// give Content-Digest themselves keep their stream.
import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { type Dispatcher, Response } from 'undici'
import { ClientError } from '../errors.ts'
import { type HeaderList, readField } from '../headers.ts'

/** The most octets of a stream that are collected to be signed. */
export const longestSignedStream = 1_048_576

interface Given extends Pick<Dispatcher.DispatchOptions, 'body'> {
  readonly headers: HeaderList
}

/** Returns whether the digest of a body is unknown until the body has been read. */
export function isStream({ body, headers }: Given): boolean {
  return !isInMemory(body) && readField(headers, 'content-digest') === undefined
}

type Body = Given['body']
type Stream = Exclude<Body, string | Uint8Array | null | undefined>

function isInMemory(body: Body): body is Exclude<Body, Stream> {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array
}

export interface Collection {
  /** The members of the request that change. */
  readonly done: Promise<{ readonly headers: HeaderList; readonly body: Buffer }>
  /** Ends the collection, and the stream. */
  stop(): void
}

/** Starts to collect a body for which `isStream` is true. `done` rejects with ClientError `body_too_long_to_sign`. */
export function collectContent({ body, headers }: Given): Collection {
  const { stream, type } = openStream(body as Stream)
  const added = type === undefined || readField(headers, 'content-type') !== undefined ? [] : ['content-type', type]
  const announced = Number(readField(headers, 'content-length') ?? 0)
  const done = collect(stream, announced).then(octets => ({ headers: [...headers, ...added], body: octets }))
  return {
    done,
    stop() {
      // That would end a connection on which a response is still to be sent.
      if (!(stream instanceof IncomingMessage)) stream.destroy()
    },
  }
}

async function collect(stream: Readable, announced: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  if (announced <= longestSignedStream)
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      const octets: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      length += octets.length
      if (length > longestSignedStream) break
      chunks.push(octets)
    }
  if (Math.max(length, announced) <= longestSignedStream) return Buffer.concat(chunks)
  throw new ClientError('body_too_long_to_sign')
}

/** Opens a body of undici's options as a stream, with the media type that it implies. */
function openStream(body: Stream): { stream: Readable; type?: string } {
  if (body instanceof Readable) return { stream: body }
  if (Symbol.asyncIterator in body) return { stream: Readable.from(body as AsyncIterable<Uint8Array>) }
  const { body: content, headers } = new Response(body)
  const stream = content === null ? Readable.from([]) : Readable.fromWeb(content)
  return { stream, type: headers.get('content-type') ?? 'application/octet-stream' }
}
