// The body of a program's request. A short one of known length is read first, so that the client can send it again
// after an expired token or a lost connection. Any other is a stream, which can be sent once.
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { separateBody } from '../relay/unread.ts'

const short = 16_384

/** Resolves with what to send; null for no body. Rejects when the program disconnects within a short body. */
export async function readBody(request: IncomingMessage): Promise<Buffer | Readable | null> {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  if (coding !== undefined || Number(length) > short) return separateBody(request)
  if (length === undefined || length === '0') return null
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
