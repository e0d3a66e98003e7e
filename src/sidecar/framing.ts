// How long the body of an answer is, where its head says so (RFC 9112 §6.3, RFC 9113 §8.1).
import type { IncomingHttpHeaders } from 'node:http'

/** Octets; undefined when chunks or frames show the end. An answer without an end to be seen is refused by the client. */
export function readLength(method: string, status: number, headers: IncomingHttpHeaders): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0
  const { 'content-length': length } = headers
  return length === undefined ? undefined : Number(length)
}
