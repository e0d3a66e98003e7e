// One request over a channel for a small document: a token response, or the metadata of an issuer.
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
 * Sends a request and reads the response, whatever its status. Does not follow redirects. The head and the whole
 * response have a deadline, even when octets keep arriving.
 * @throws OutgoingError (rejects) with the URL as its address.
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
    return { status, headers, octets: await readOctets(url.href, body) } // stopping early ends the request
  } catch (error) {
    if (!late.aborted) throw explainFailure(error, url.href)
    const finding = `no complete response within ${describeDuration(whole)}; check the server`
    throw new OutgoingError('timed_out', url.href, finding, { cause: error })
  }
}
