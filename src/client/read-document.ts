// One request over a channel whose answer is a small document: of a token endpoint, or an issuer's metadata.
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { readOctets } from '../outgoing/document.ts'
import { describeDuration, explainFailure, OutgoingError } from '../outgoing/failure.ts'
import { requestDeadlines } from '../outgoing/request.ts'

export interface DocumentAnswer {
  readonly status: number
  readonly headers: Readonly<IncomingHttpHeaders>
  readonly octets: Buffer
}

/**
 * Sends a request to an address behind a dispatcher and reads its answer, whatever the status. Redirects are not followed;
 * the head and the whole answer have a deadline, however often an octet comes.
 * @throws OutgoingError (rejects), whose address is the URL.
 */
export async function readDocument(
  dispatcher: Dispatcher,
  url: URL,
  request: Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'>,
): Promise<DocumentAnswer> {
  const { head, whole } = requestDeadlines
  const late = AbortSignal.timeout(whole)
  const path = url.pathname + url.search
  try {
    const timeouts = { headersTimeout: head, bodyTimeout: whole, signal: late }
    const { statusCode: status, headers, body } = await dispatcher.request({ ...request, ...timeouts, path })
    return { status, headers, octets: await readOctets(url.href, body) } // reading no further ends the request
  } catch (error) {
    if (!late.aborted) throw explainFailure(error, url.href)
    const finding = `no whole answer within ${describeDuration(whole)}; check the server`
    throw new OutgoingError('timed_out', url.href, finding, { cause: error })
  }
}
