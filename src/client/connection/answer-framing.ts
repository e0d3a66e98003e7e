// How the head of an answer delimits its body (RFC 9112 §6.3, RFC 9113 §8.1).
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Returns whether a length or chunks delimit the body of an answer over HTTP/1.1. A body that ends with its connection
 * can be truncated unnoticed: Node's TLS reports an end without close_notify like one with it.
 */
export function isDelimited(method: string, status: number, headers: IncomingHttpHeaders): boolean {
  if (hasNoBody(method, status)) return true
  const { 'transfer-encoding': codings, 'content-length': length } = headers
  return codings === undefined ? length !== undefined : !hasOtherCoding(headers)
}

/** Returns whether a body has a transfer coding besides chunks. The client requests no other and decodes no other. */
export function hasOtherCoding({ 'transfer-encoding': codings = 'chunked' }: IncomingHttpHeaders): boolean {
  return !/^ *chunked *$/i.test(String(codings))
}

/** Returns the length of a body in octets; undefined when chunks or frames delimit it. */
export function bodyLengthOf(method: string, status: number, headers: IncomingHttpHeaders): number | undefined {
  if (hasNoBody(method, status)) return 0
  const { 'content-length': length } = headers
  return length === undefined ? undefined : Number(length)
}

function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}
