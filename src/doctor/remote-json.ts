// Remote JSON documents, fetched as the server fetches them, and the clocks of their servers.
import { parseDocument, readOctets, requireDocument } from '../outgoing/document.ts'
import { requestOnce } from '../outgoing/request.ts'

/** A reading of another clock with the local time; both in milliseconds since 1970. */
export interface ClockReading {
  readonly of: string
  readonly theirs: number
  readonly ours: number
}

/** Fetches a document and records its `Date` header as a clock reading. Rejects with an OutgoingError. */
export async function fetchDocument(url: URL, ca: string | undefined, readings: ClockReading[]): Promise<unknown> {
  const address = url.href
  const headers = { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' }
  return requestOnce(url, { ca, address, headers, deadlines: { whole: 5000 } }, async answer => {
    const theirs = Date.parse(answer.headers.date ?? '')
    const isKnown = readings.some(reading => reading.of === url.host)
    if (!Number.isNaN(theirs) && !isKnown) readings.push({ of: url.host, theirs, ours: Date.now() })
    requireDocument(address, answer.status, answer.headers)
    return parseDocument(address, answer.headers, await readOctets(address, answer.body))
  })
}
