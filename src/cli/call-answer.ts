// The answer of `tlsbound call`: to stdout or a file, as it comes; and what carried it, in words.
import { createWriteStream } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Dispatcher } from 'undici'
import type { ClientState } from '../client/client.ts'
import { describeDistance } from '../text/describe-token.ts'

type Answer = Dispatcher.ResponseData

export interface Shown {
  /** Status line and headers before the body. */
  readonly head: boolean
  /** Default: stdout. */
  readonly file: string | undefined
}

/** Writes an answer as it comes, which may take as long as the server likes. Rejects when one of the two ends breaks. */
export async function writeAnswer(answer: Answer, protocol: string, { head, file }: Shown): Promise<void> {
  const output = file === undefined ? process.stdout : createWriteStream(file)
  if (head) output.write(buildHead(answer, protocol))
  await pipeline(answer.body, output, { end: file !== undefined }).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === undefined) throw error
    throw new Error(`${file ?? 'stdout'} cannot be written (${error.code})`, { cause: error })
  })
}

/** `200 OK`, whether the version of HTTP has such words or not. */
export function describeStatus(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ''}`.trim()
}

/** What carries the answer: connection, bindings, token, repetitions, a line each. Thumbprints only, and never the token. */
export function describeTransport({ connections, binding: level, counts }: ClientState, now: number): string[] {
  const connection = connections.at(-1)
  if (connection === undefined) return ['the connection has ended already']
  const { tls, cipher, protocol, certificate, bindings, token } = connection
  return [
    `${tls}, ${cipher}, ${protocol}`,
    `x5t#S256 ${certificate}`,
    ...Object.entries(bindings).map(([type, thumbprint]) => `${type}#S256 ${thumbprint}`),
    token === null
      ? `token of level ${level}, given up`
      : `token of level ${token.binding}, scope ${JSON.stringify(token.scope)}, expires ${distance(token.expires, now)}`,
    `connections ${counts.connections}, tokens ${counts.tokens}, repeated ${counts.repeated}`,
  ]
}

function distance(time: string, now: number): string {
  return describeDistance(Math.floor(Date.parse(time) / 1000), now)
}

function buildHead({ statusCode, headers }: Answer, protocol: string): string {
  const first = protocol === 'h2' ? `HTTP/2 ${statusCode}` : `HTTP/1.1 ${describeStatus(statusCode)}`
  const fields = Object.entries(headers).flatMap(([name, value]) => [value].flat().map(text => `${name}: ${text}`))
  return `${[first, ...fields].join('\r\n')}\r\n\r\n`
}
