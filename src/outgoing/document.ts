// Reads a JSON document from a response: status 200, uncompressed, UTF-8, and of limited length.
import type { IncomingHttpHeaders } from 'node:http'
import { isTooDeep, maximumDepth } from '../core/json-depth.ts'
import { OutgoingError, quote } from './failure.ts'

/** The maximum length of a document in octets. */
export const largestDocument = 262_144

/** Reads the octets of a response. @throws OutgoingError (rejects) when it is too long. */
export async function readOctets(address: string, body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > largestDocument) {
      const finding = `the response has more than ${largestDocument} octets; check that the address is that of the document`
      throw new OutgoingError('too_large', address, finding)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** @throws OutgoingError for a status other than 200, with its Location. */
export function requireDocument(address: string, status: number, headers: Readonly<IncomingHttpHeaders>): void {
  const { location } = headers
  if (status >= 300 && status < 400) {
    const where = location === undefined ? '' : ` and redirects to ${quote(location)}`
    const finding = `it responds with ${status}${where}; redirects are not followed: configure the final address`
    throw new OutgoingError('redirect', address, finding, { status })
  }
  if (status === 200) return
  const remedy = status >= 500 ? 'try again later' : 'check the address'
  const finding = `it responds with ${status} instead of a document; ${remedy}`
  throw new OutgoingError('status', address, finding, { status })
}

/** Parses octets as JSON. @throws OutgoingError that describes other content without quoting it. */
export function parseDocument(address: string, headers: Readonly<IncomingHttpHeaders>, octets: Buffer): unknown {
  const { 'content-encoding': coding = 'identity', 'content-type': type = 'content without a type' } = headers
  if (coding !== 'identity')
    throw new OutgoingError('encoded', address, `the response is encoded as ${quote(coding)}, which was not requested`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(octets)
    const document: unknown = JSON.parse(text)
    if (!isTooDeep(text)) return document
  } catch (cause) {
    const finding = `the response is not JSON in UTF-8, but ${octets.length} octets of ${quote(type)}; check the address`
    throw new OutgoingError('not_json', address, finding, { cause })
  }
  const finding = `the response is JSON nested more than ${maximumDepth} levels deep; check the address`
  throw new OutgoingError('unexpected_content', address, finding)
}
