// Which header fields belong to one connection, and are not forwarded to the next one (RFC 9110 §7.6.1).
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** Connection-specific fields (RFC 9110 §7.6.1, §11.7), and `trailer`, which announces the trailers of one connection. */
export const connectionFields: readonly string[] = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const dropped = new Set(connectionFields)

/** Returns the names that a Connection field declares connection-specific. */
export function readNominated(connection: string | string[] = []): ReadonlySet<string> {
  return new Set(
    String(connection)
      .toLowerCase()
      .split(/[\t ,]+/),
  )
}

/** Builds the header of a response for the client. A repeated field, such as Set-Cookie, stays a list. */
function buildAnswerHeaders(headers: IncomingHttpHeaders, status: number): OutgoingHttpHeaders {
  const nominated = readNominated(headers.connection)
  const isFor = (name: string) => !dropped.has(name) && !nominated.has(name)
  const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => isFor(name)))
  if (status === 204) delete passed['content-length'] // RFC 9110 §8.6
  return passed
}

/**
 * Writes the head of a response for the client. Returns false, with nothing written, if it cannot be sent: Node writes no status
 * below 100, and over HTTP/2 none above 599 and no second value of a field such as Content-Type.
 */
export function writeAnswerHead(response: ServerResponse, status: number, headers: IncomingHttpHeaders): boolean {
  try {
    response.writeHead(status, buildAnswerHeaders(headers, status))
    return true
  } catch {
    for (const name of response.getHeaderNames()) response.removeHeader(name) // they would be part of the refusal
    return false
  }
}
