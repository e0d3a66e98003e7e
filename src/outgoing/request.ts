// One HTTP request over a TLS connection of its own: for documents that are fetched, and for notifications. No agent and no
// proxy of the environment takes part, no redirect is followed, and each phase and the whole have a deadline.
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { type ConnectDeadlines, type ConnectTlsOptions, connectDeadlines, connectTls } from './connect.ts'
import { parseDocument, readOctets, requireDocument } from './document.ts'
import { describeDuration, explainFailure, OutgoingError, type OutgoingProblem } from './failure.ts'

/** Milliseconds. `head`: from the request to the head of its answer; `whole`: from the name look-up to the last octet. */
export interface RequestDeadlines extends ConnectDeadlines {
  readonly head: number
  readonly whole: number
}

export const requestDeadlines: RequestDeadlines = { ...connectDeadlines, head: 10_000, whole: 15_000 }

export interface RequestOptions extends Pick<ConnectTlsOptions, 'address' | 'ca' | 'trusted' | 'lookup' | 'signal'> {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly deadlines?: Partial<RequestDeadlines> | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Rejects when the answer is cut off or late. */
  readonly body: AsyncIterable<Buffer>
}

/** Interim answers (RFC 9110 §15.2) before the one that counts. */
export const mostInterim = 10

/**
 * Sends one request to an https address and gives its answer to `read`; the connection ends when that has settled.
 * @throws OutgoingError (rejects).
 */
export async function requestOnce<T>(
  url: URL,
  { method = 'GET', headers, body, deadlines, signal, address = url.host, ...tls }: RequestOptions,
  read: (answer: Answer) => Promise<T>,
): Promise<T> {
  const limits = { ...requestDeadlines, ...deadlines }
  const ending = new AbortController()
  const end = (problem: OutgoingProblem, finding: string) => ending.abort(new OutgoingError(problem, address, finding))
  const expire = (what: string, limit: number) =>
    end('timed_out', `no ${what} within ${describeDuration(limit)}; check the server`)
  const cancel = () => end('cancelled', 'the request was cancelled')
  const wholeTimer = setTimeout(expire, limits.whole, 'whole answer', limits.whole)
  let headTimer: NodeJS.Timeout | undefined
  signal?.addEventListener('abort', cancel)
  if (signal?.aborted) cancel()
  try {
    const socket = await connectTls({
      ...tls,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 443),
      ALPNProtocols: ['http/1.1'],
      address,
      deadlines: limits,
      signal: ending.signal,
    })
    ending.signal.addEventListener('abort', () => socket.destroy(ending.signal.reason as Error))
    try {
      ending.signal.throwIfAborted()
      headTimer = setTimeout(expire, limits.head, 'head of an answer', limits.head)
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        let interim = 0
        request({
          createConnection: () => socket,
          method,
          path: url.pathname + url.search,
          headers: { host: url.host, 'user-agent': 'tlsbound', ...headers },
        })
          .on('response', resolve)
          .on('information', () => {
            if (++interim > mostInterim) end('not_http', `more than ${mostInterim} interim answers; check the server`)
          })
          .on('error', reject)
          .on('close', () => reject(Object.assign(new Error('no answer'), { code: 'ECONNRESET' })))
          .end(body)
      })
      clearTimeout(headTimer)
      response.on('error', () => {}) // the reader of the body gets it
      return await read({ status: response.statusCode ?? 0, headers: response.headers, body: response })
    } finally {
      socket.destroy()
    }
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : explainFailure(error, address)
  } finally {
    clearTimeout(wholeTimer)
    clearTimeout(headTimer)
    signal?.removeEventListener('abort', cancel)
  }
}

export type DocumentOptions = Pick<RequestOptions, 'ca' | 'trusted' | 'lookup' | 'deadlines'> & {
  /** Default `application/json`. */
  readonly accept?: string
}

/**
 * Fetches a small JSON document: a 200 of at most `largestDocument` octets. The address in errors is the URL.
 * @throws OutgoingError (rejects).
 */
export function fetchJson(
  url: URL,
  { accept = 'application/json', ...options }: DocumentOptions = {},
): Promise<unknown> {
  const address = url.href
  const headers = { accept, 'accept-encoding': 'identity' }
  return requestOnce(url, { ...options, address, headers }, async answer => {
    requireDocument(address, answer.status, answer.headers)
    return parseDocument(address, answer.headers, await readOctets(address, answer.body))
  })
}
