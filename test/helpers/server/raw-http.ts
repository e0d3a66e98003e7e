// Bytes on a client's TLS connection, for requests that HTTP libraries refuse to send, and HTTP/2 header lists that Node's
// client refuses to send.
import { connect } from 'node:http2'
import type { Answer, TestConnection, TestServer } from '../../../src/testing/server.ts'
import { patience } from '../until.ts'

export interface Exchange {
  /** The final responses in order, without interim ones (1xx). */
  readonly answers: readonly Answer[]
  /** Everything received, unchanged. */
  readonly received: string
  /** Whether the server ended the connection. */
  readonly closed: boolean
}

/**
 * Sends bytes and reads until this many final responses arrive, or the server ends the connection. Rejects if neither happens
 * within `limit` milliseconds.
 */
export function exchange(
  { socket }: Pick<TestConnection, 'socket'>,
  bytes: string | readonly string[],
  { until, limit = patience }: { until: number | 'closed'; limit?: number },
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const answers: Answer[] = []
    const parts = [bytes].flat()
    const hasBodies = parts[0]?.startsWith('HEAD ') !== true
    let received = ''
    let unread = ''
    const timer = setTimeout(() => finish(new Error(`still open after ${limit} ms: ${received.slice(-300)}`)), limit)
    const onData = (chunk: Buffer) => {
      received += chunk.toString('latin1')
      unread += chunk.toString('latin1')
      if (until === 'closed') return // parsed once: with each chunk, it would take minutes for a large response
      unread = readAnswers(unread, answers, hasBodies)
      if (answers.length >= until) finish()
    }
    const onClose = () => finish()
    const finish = (error?: Error) => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      readAnswers(unread, answers, hasBodies)
      if (error) reject(error)
      else resolve({ answers, received, closed: socket.destroyed })
    }
    socket.on('data', onData).on('close', onClose)
    for (const part of parts) socket.write(part, 'latin1')
  })
}

/** One exchange on a new connection, as alice. */
export async function exchangeOnce(
  server: TestServer,
  bytes: string | readonly string[],
  options: Parameters<typeof exchange>[2],
): Promise<Exchange> {
  const connection = await server.connect('alice')
  try {
    return await exchange(connection, bytes, options)
  } finally {
    connection.close()
  }
}

/** Builds the text of a request from its first line, headers and body. */
export function requestText(line: string, headers: readonly string[], body = ''): string {
  return `${[`${line} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n${body}`
}

/** Appends the complete responses, and returns the rest. */
function readAnswers(received: string, answers: Answer[], hasBodies: boolean): string {
  let rest = received
  for (let end = rest.indexOf('\r\n\r\n'); end !== -1; end = rest.indexOf('\r\n\r\n')) {
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n')
    const pairs = lines.map(text => [text.split(':')[0]?.toLowerCase(), text.replace(/^[^:]*: */, '')])
    const headers: Record<string, string> = Object.fromEntries(pairs)
    const body = hasBodies ? readBody(rest.slice(end + 4), headers) : { text: '', length: 0 }
    if (body === undefined) break
    rest = rest.slice(end + 4 + body.length)
    const status = Number(line.split(' ')[1])
    if (status >= 200) answers.push({ status, headers, text: body.text, body: parse(body.text) })
  }
  return rest
}

/** Parses a body by its content-length or its chunks; undefined while it is incomplete. */
function readBody(rest: string, headers: Record<string, string>): { text: string; length: number } | undefined {
  if (headers['transfer-encoding'] === 'chunked') {
    const end = rest.indexOf('0\r\n\r\n')
    const text = rest.slice(0, end).replace(/^[0-9a-f]+\r\n|\r\n$/g, '')
    return end === -1 ? undefined : { text, length: end + 5 }
  }
  const length = Number(headers['content-length'] ?? 0)
  return rest.length < length ? undefined : { text: rest.slice(0, length), length }
}

/** Sends a header list over HTTP/2 unchanged, with repetitions. Rejects if the stream is reset. */
export async function requestHttp2(
  server: TestServer,
  headers: readonly (readonly [string, string])[],
): Promise<Answer> {
  const { alice, ca } = server.pki
  const options = {
    servername: 'localhost',
    ca: ca.certificate,
    cert: alice.certificate,
    key: alice.key,
    strictSingleValueFields: false, // otherwise Node would refuse two Authorization headers before sending them
  }
  const session = connect(`https://127.0.0.1:${server.port}`, options)
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request([[':scheme', 'https'], [':authority', 'localhost'], ...headers].flat())
      let text = ''
      let answer: Record<string, unknown> = {}
      stream
        .on('response', received => (answer = received))
        .on('data', chunk => (text += chunk))
        .on('end', () =>
          resolve({ status: Number(answer[':status']), headers: answer as Answer['headers'], text, body: parse(text) }),
        )
        .on('error', reject)
        .end()
    })
  } finally {
    session.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
