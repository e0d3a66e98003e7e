// Which header fields belong to one connection, and are not forwarded to the next one (RFC 9110 §7.6.1).
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'

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
export function buildAnswerHeaders(headers: IncomingHttpHeaders, status: number): OutgoingHttpHeaders {
  const nominated = readNominated(headers.connection)
  const isFor = (name: string) => !dropped.has(name) && !nominated.has(name)
  const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => isFor(name)))
  if (status === 204) delete passed['content-length'] // RFC 9110 §8.6
  return passed
}
