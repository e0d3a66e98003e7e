// How one sees that the body of an answer is all there (RFC 9112 §6.3, RFC 9113 §8.1).
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'

/**
 * Octets, where the head says how many there are; `marked` when chunks or frames show the end. `unseen`: over HTTP/1.1 a
 * body may also end with its connection, and then nobody sees who has ended that, since Node says nothing of a missing
 * close_notify.
 */
export type End = number | 'marked' | 'unseen'

/** Reads where the body of an answer ends. */
export function readEnd(
  method: string,
  status: number,
  headers: IncomingHttpHeaders,
  { rawHeaders }: Dispatcher.DispatchController,
): End {
  if (method === 'HEAD' || status === 204 || status === 304) return 0
  if (headers['transfer-encoding'] !== undefined) return 'marked'
  if (headers['content-length'] !== undefined) return Number(headers['content-length'])
  const isHttp1 = Array.isArray(rawHeaders) && rawHeaders.every(Buffer.isBuffer) // undici gives no others like that
  return isHttp1 ? 'unseen' : 'marked'
}
