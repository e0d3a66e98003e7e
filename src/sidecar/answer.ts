// What the sidecar says itself, as JSON: its status, and { error, error_description, reason? } for what failed.
import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Failure } from './failures.ts'

/** Answers with JSON; the response has then ended. */
export function answer(
  response: ServerResponse,
  status: number,
  members: object,
  headers: OutgoingHttpHeaders = {},
): void {
  const body = `${JSON.stringify(members)}\n`
  endWithBody(response)
  const own = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
  response.writeHead(status, { ...own, ...headers }).end(body)
}

/** Answers that a request failed. */
export function answerFailure(response: ServerResponse, failure: Failure): void {
  const { status, retryAfter } = failure
  answer(response, status, buildBody(failure), {
    ...(status === 405 && { allow: 'GET, HEAD' }),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  })
}

/** Answers what is no request, or none that could have a response, on the connection itself, which then ends. */
export function answerBytes(socket: Duplex, failure: Failure): void {
  socket.on('error', () => {}) // Node listens no longer: one that goes now must not end the process
  if (!socket.writable) return void socket.destroy()
  const { status } = failure
  const body = `${JSON.stringify(buildBody(failure))}\n`
  const fields = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close']
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...fields].join('\r\n')
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy())
}

/** Lets the connection end with this answer if there is more of the request's body, which nobody will read. */
export function endWithBody(response: ServerResponse): void {
  const { complete, headers } = response.req
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (hasBody && !complete) response.shouldKeepAlive = false
}

function buildBody({ error, description, reason }: Failure): object {
  return { error, error_description: description, ...(reason !== undefined && { reason }) }
}
