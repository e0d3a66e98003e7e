// Whether an answer over HTTP/1.1 shows where it ends, by its head (RFC 9112 §6.3). One that ends with its connection does
// not: whoever cuts that makes half an answer look whole, since Node's TLS tells an end without close_notify from one with
// it in no way.
import type { IncomingHttpHeaders } from 'node:http'

/** Whether a length or chunks show the end. */
export function showsEnd(method: string, status: number, headers: IncomingHttpHeaders): boolean {
  if (method === 'HEAD' || status === 204 || status === 304) return true
  const { 'transfer-encoding': codings, 'content-length': length } = headers
  if (codings === undefined) return length !== undefined
  return /^ *chunked *$/i.test(String(codings)) // alone: we ask for no other coding, and nobody would undo it
}
