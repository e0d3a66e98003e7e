// Sends a refusal through Node's own servers.
import type { ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import { endRefused } from '../tls/connection.ts'
import type { RefusalAnswer } from './refusal.ts'

/** A response of `http`, `https` or `http2`, or the socket of an upgrade request. */
export type NodeResponse = ServerResponse | Http2ServerResponse | Duplex

/** Sends a response. Closes the connection of a response whose header was already sent. */
export function writeRefusal(response: NodeResponse, answer: RefusalAnswer): void {
  const body = JSON.stringify(answer.body)
  const headers = {
    ...answer.headers,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
  if (!('writeHead' in response)) {
    const fields = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
    const { status } = answer
    response.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields.join('')}\r\n${body}`)
    return
  }
  if (response.headersSent) return void response.destroy()
  if (answer.endsConnection) endRefused(response.req, response)
  ;(response as ServerResponse).writeHead(answer.status, headers).end(body)
}
