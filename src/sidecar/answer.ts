// The sidecar's own responses: JSON with its status, or { error, error_description, reason? } for an error.
import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { closeAfterReading, endWithBody, isClosing } from '../relay/unread.ts'
import type { Failure } from './failures.ts'

/** Sends a JSON response and ends it. */
export function answer(
  response: ServerResponse,
  status: number,
  members: object,
  headers: OutgoingHttpHeaders = {},
): void {
  send(response, status, `${JSON.stringify(members)}\n`, { 'content-type': 'application/json', ...headers })
}

/** Sends metrics and ends the response. */
export function answerText(response: ServerResponse, body: string): void {
  send(response, 200, body, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
}

function send(response: ServerResponse, status: number, body: string, headers: OutgoingHttpHeaders): void {
  endWithBody(response.req, response)
  const own = { 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' }
  response.writeHead(status, { ...own, ...headers }).end(body)
}

/** Sends the error response for a failed request. */
export function answerFailure(response: ServerResponse, failure: Failure): void {
  const { status, retryAfter } = failure
  answer(response, status, buildBody(failure), {
    ...(status === 405 && { allow: 'GET, HEAD' }),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  })
}

/** Writes an error response to a connection without a valid request, and ends the connection. */
export function answerBytes(socket: Socket, failure: Failure): void {
  if (isClosing(socket)) return // more octets that are no request
  socket.on('error', () => {}) // Node has removed its listener: an error must not end the process
  if (!socket.writable) return void socket.destroy()
  const { status } = failure
  const body = `${JSON.stringify(buildBody(failure))}\n`
  const fields = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close']
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...fields].join('\r\n')
  socket.write(`${head}\r\n\r\n${body}`)
  closeAfterReading(socket)
}

function buildBody({ error, description, reason }: Failure): object {
  return { error, error_description: description, ...(reason !== undefined && { reason }) }
}
