// A JSON document, out of the answer that should hold it: of a 200 alone, uncompressed, in UTF-8 and of a bounded length.
import type { IncomingHttpHeaders } from 'node:http'
import { isTooDeep, maximumDepth } from '../core/json-depth.ts'
import { OutgoingError, quote } from './failure.ts'

/** Octets of the largest document that is read. */
export const largestDocument = 262_144

/** Reads the octets of an answer. @throws OutgoingError (rejects) when there are too many. */
export async function readOctets(address: string, body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > largestDocument) {
      const finding = `the answer has more than ${largestDocument} octets; check that the address is that of the document`
      throw new OutgoingError('too_large', address, finding)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** @throws OutgoingError for a status that is not 200, with what the answer says instead. */
export function requireDocument(address: string, status: number, headers: Readonly<IncomingHttpHeaders>): void {
  const { location } = headers
  if (status >= 300 && status < 400) {
    const where = location === undefined ? '' : ` and refers to ${quote(location)}`
    const finding = `it answers ${status}${where}; redirects are not followed: give the final address`
    throw new OutgoingError('redirect', address, finding, { status })
  }
  if (status === 200) return
  const remedy = status >= 500 ? 'try again later' : 'check the address'
  const finding = `it answers ${status} where a document is expected; ${remedy}`
  throw new OutgoingError('status', address, finding, { status })
}

/** Parses the octets of an answer as JSON. @throws OutgoingError that says what they are instead, and quotes nothing. */
export function parseDocument(address: string, headers: Readonly<IncomingHttpHeaders>, octets: Buffer): unknown {
  const { 'content-encoding': coding = 'identity', 'content-type': type = 'content without a type' } = headers
  if (coding !== 'identity')
    throw new OutgoingError('encoded', address, `the answer is in ${quote(coding)}, which was not asked for`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(octets)
    const document: unknown = JSON.parse(text)
    if (!isTooDeep(text)) return document
  } catch (cause) {
    const finding = `the answer is not JSON in UTF-8, but ${octets.length} octets of ${quote(type)}; check the address`
    throw new OutgoingError('not_json', address, finding, { cause })
  }
  const finding = `the answer is JSON that is nested more than ${maximumDepth} deep; check the address`
  throw new OutgoingError('unexpected_content', address, finding)
}
