// HTTP/1.1 in raw octets: each request is sent at once, without waiting for responses (RFC 9112 §9.3.2). For
// pipelining, and for streams that no HTTP client accepts.
import type { Duplex } from 'node:stream'
import { type Answer, answerTimeout, type Connection, headersOf, longestAnswer, parse } from './connection.ts'

/** Speaks HTTP/1.1 to `host` on an unread stream. Responses belong to requests in their order. */
export function pipeline(stream: Duplex, host: string): Connection['call'] {
  const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = []
  let received: Buffer = Buffer.alloc(0)
  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error)
    stream.destroy()
  }
  const read = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (let next = readAnswer(received); next !== undefined; next = readAnswer(received)) {
      received = received.subarray(next.length)
      if (next.answer.status >= 200) waiting.shift()?.resolve(next.answer)
    }
    if (received.length > longestAnswer) throw new Error('the response is too long')
  }
  stream.on('data', chunk => {
    try {
      read(chunk)
    } catch (error) {
      fail(error as Error)
    }
  })
  for (const event of ['end', 'close', 'error'])
    stream.on(event, () => fail(new Error('the connection ended without a response')))

  return async (path, { method = 'GET', body, ...rest } = {}) => {
    if (stream.destroyed) throw new Error('the connection has ended')
    let timer: NodeJS.Timeout | undefined
    const answer = new Promise<Answer>((resolve, reject) => {
      timer = setTimeout(() => fail(new Error('no response in time')), answerTimeout)
      waiting.push({ resolve, reject })
    })
    const fields = Object.entries({ host, ...headersOf(rest, body) }).flatMap(([name, values]) =>
      [values].flat().map(value => `${name}: ${value}\r\n`),
    )
    stream.write(`${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n${body ?? ''}`)
    return answer.finally(() => clearTimeout(timer))
  }
}

/** Parses the first response when it is complete, with its length in octets. @throws Error when it is invalid. */
function readAnswer(octets: Buffer): { answer: Answer; length: number } | undefined {
  const end = octets.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [line = '', ...fields] = octets.toString('latin1', 0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) throw new Error('the response is not HTTP')
  const headers: Record<string, string> = Object.fromEntries(
    fields.map(field => [field.split(':')[0]?.toLowerCase(), field.replace(/^[^:]*:\s*/, '')]),
  )
  const rest = octets.subarray(end + 4)
  const hasBody = status >= 200 && status !== 204 && status !== 304
  const body = hasBody ? readBody(rest, headers) : { text: '', length: 0 }
  if (body === undefined) return undefined
  const { text } = body
  return { answer: { status, headers, text, body: parse(text) }, length: end + 4 + body.length }
}

interface Body {
  readonly text: string
  readonly length: number
}

function readBody(octets: Buffer, headers: Readonly<Record<string, string>>): Body | undefined {
  if (headers['transfer-encoding']?.toLowerCase() === 'chunked') return readChunks(octets)
  const given = headers['content-length'] ?? '0'
  if (!/^\d{1,15}$/.test(given)) throw new Error('the response is not HTTP')
  const length = Number(given)
  return octets.length < length ? undefined : { text: octets.toString('utf8', 0, length), length }
}

/** RFC 9112 §7.1. */
function readChunks(octets: Buffer): Body | undefined {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const end = octets.indexOf('\r\n', at)
    if (end === -1) return undefined
    const size = Number.parseInt(octets.toString('latin1', at, end), 16)
    if (!(size >= 0)) throw new Error('the response is not HTTP')
    if (size === 0) {
      const last = octets.indexOf('\r\n\r\n', end)
      return last === -1 ? undefined : { text: Buffer.concat(chunks).toString(), length: last + 4 }
    }
    at = end + 2 + size + 2
    if (octets.length < at) return undefined
    chunks.push(octets.subarray(end + 2, at - 2))
  }
}
