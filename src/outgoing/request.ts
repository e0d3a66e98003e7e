// One HTTP request over its own TLS connection, for documents and notifications. It uses no agent and no proxy, follows
// no redirect, and has a deadline for each phase and in total.
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { type ConnectDeadlines, type ConnectTlsOptions, connectDeadlines, connectTls } from './connect.ts'
import { parseDocument, readOctets, requireDocument } from './document.ts'
import { describeDuration, explainFailure, OutgoingError, type OutgoingProblem } from './failure.ts'

/** Milliseconds. `head`: from the request to the response head; `whole`: from the DNS lookup to the last octet. */
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
  /** Rejects when the response is truncated or late. */
  readonly body: AsyncIterable<Buffer>
}

/** The maximum number of interim responses (RFC 9110 §15.2). */
export const mostInterim = 10

/**
 * Sends one request to an https address and passes its response to `read`. The connection closes when that has settled.
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
  const wholeTimer = setTimeout(expire, limits.whole, 'complete response', limits.whole)
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
      headTimer = setTimeout(expire, limits.head, 'response head', limits.head)
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
            if (++interim > mostInterim) end('not_http', `more than ${mostInterim} interim responses; check the server`)
          })
          .on('error', reject)
          .on('close', () => reject(Object.assign(new Error('no response'), { code: 'ECONNRESET' })))
          .end(body)
      })
      clearTimeout(headTimer)
      response.on('error', () => {}) // the reader of the body receives it
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
 * Fetches a small JSON document: a 200 of at most `largestDocument` octets. The URL is the address in errors.
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
