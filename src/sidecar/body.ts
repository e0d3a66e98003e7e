// The body of a program's request. A short one of known length is read first, so that the client can send it again where
// a token has just ended or a connection has just gone; any other is a stream, which can be sent once.
import type { IncomingMessage } from 'node:http'

/** Octets. */
const short = 16_384

/** Resolves with what to send, null for nothing. Rejects when the program goes away before a short body is all there. */
export async function readBody(request: IncomingMessage): Promise<Buffer | IncomingMessage | null> {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  if (coding !== undefined || Number(length) > short) return request
  if (length === undefined || length === '0') return null
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
