// The response of `tlsbound call`: written to stdout or a file as it arrives; and a description of its connection.
import { createWriteStream } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Dispatcher } from 'undici'
import type { ClientState } from '../client/client.ts'
import { describeDistance } from '../text/describe-token.ts'

type Answer = Dispatcher.ResponseData

export interface Shown {
  /** Whether to write the status line and headers before the body. */
  readonly head: boolean
  /** The output file. Default: stdout. */
  readonly file: string | undefined
}

/** Writes a response as it arrives, without a deadline. Rejects when either end breaks. */
export async function writeAnswer(answer: Answer, protocol: string, { head, file }: Shown): Promise<void> {
  const output = file === undefined ? process.stdout : createWriteStream(file)
  if (head) output.write(buildHead(answer, protocol))
  await pipeline(answer.body, output, { end: file !== undefined }).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === undefined) throw error
    throw new Error(`${file ?? 'stdout'} cannot be written (${error.code})`, { cause: error })
  })
}

/** Returns status and reason phrase, such as `200 OK`, also for HTTP/2, which has no phrase. */
export function describeStatus(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ''}`.trim()
}

/** Describes connection, bindings, token and retries, one per line. Contains thumbprints, and never the token. */
export function describeTransport({ connections, binding: level, counts }: ClientState, now: number): string[] {
  const connection = connections.at(-1)
  if (connection === undefined) return ['the connection is already closed']
  const { tls, cipher, protocol, certificate, bindings, token } = connection
  return [
    `${tls}, ${cipher}, ${protocol}`,
    `x5t#S256 ${certificate}`,
    ...Object.entries(bindings).map(([type, thumbprint]) => `${type}#S256 ${thumbprint}`),
    token === null
      ? `token of level ${level}, discarded`
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
