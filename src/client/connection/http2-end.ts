// Whether an answer over HTTP/2 came to its end, or was cut off.
import type { ClientHttp2Stream } from 'node:http2'

/**
 * Watches a new stream; what it returns tells at 'end' whether the server said END_STREAM (RFC 9113 §8.1). Node gives the
 * same 'end' to a stream that was reset without an error, but only after it has closed it, so the order tells.
 */
export function watchEnd(stream: ClientHttp2Stream): () => boolean {
  let saidSo = false
  const push = stream.push
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed && !stream.destroyed) saidSo = true
    return push.call(stream, chunk, encoding)
  }
  return () => saidSo
}
