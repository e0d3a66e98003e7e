// One mutual-TLS connection of the load over HTTP/2, on which all lanes send their requests.
import { connect } from 'node:http2'
import type { SecureContext } from 'node:tls'
import type { Answer } from './connection.ts'

export interface Http2Connection {
  exchange(headers: Record<string, string>, body?: string): Promise<Answer>
}

export function openHttp2(port: number, secureContext: SecureContext): Promise<Http2Connection> {
  return new Promise((resolve, reject) => {
    // The bench started this server; verifying its certificate would take CPU time from it.
    const session = connect(`https://localhost:${port}`, { secureContext, rejectUnauthorized: false })
    session.once('error', reject)
    session.once('connect', () => {
      resolve({ exchange: (headers, body) => exchange(session, headers, body) })
    })
  })
}

function exchange(
  session: ReturnType<typeof connect>,
  headers: Record<string, string>,
  body: string | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined })
    let status = 0
    let text = ''
    stream.on('response', response => {
      status = Number(response[':status'])
    })
    stream.setEncoding('latin1')
    stream.on('data', chunk => {
      text += chunk
    })
    stream.on('error', reject)
    stream.on('end', () => resolve({ status, body: text }))
    if (body !== undefined) stream.end(body)
  })
}
