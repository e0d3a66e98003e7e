// Whether a request may be sent again. Pure functions.
// RFC 9110 §9.2.2 (idempotent methods), RFC 6750 §3.1 and draft-mw-oauth-tls-session-bound-tokens §3.5 (not executed).
import type { Dispatcher } from 'undici'
import { jitter, longestRetryAfter, readRetryAfter } from '../backoff.ts'
import { ClientError, codeOf } from '../errors.ts'

/** How often a request is sent at most. */
export const maximumTries = 3

/** How many consecutive channels may end before anything is written. */
export const maximumUnwritten = 100

type Request = Pick<Dispatcher.DispatchOptions, 'method' | 'body'>
type Headers = Readonly<Record<string, string | string[] | undefined>>

/** How far a request got before its connection broke: not written, refused unprocessed, or unknown. */
export type FailurePoint = 'unwritten' | 'unprocessed' | 'unknown'

/** Returns whether a request may be sent again after this error. */
export function isSafeAfter(error: Error, point: FailurePoint, { method, body }: Request): boolean {
  if (!isBreak(error)) return false
  if (point === 'unwritten') return true
  return isRepeatable(body) && (point === 'unprocessed' || isIdempotent(method))
}

/** What a refused request needs before it is sent again. */
export type RetryWith = 'token' | 'proof' | 'signature'

/** Returns what a 401 demands before a retry; undefined when another token would not help. */
export function parseRetryWith(status: number, headers: Headers): RetryWith | undefined {
  const challenge = headers['www-authenticate']
  if (status !== 401 || challenge === undefined) return undefined
  const error = /(?:^|[\s,])error="?([a-z_]{1,64})/i.exec([challenge].flat().join(', '))?.[1]
  if (error === 'invalid_token') return 'token'
  if (error === 'invalid_signature' || error === 'use_signed_request') return 'signature'
  return error === 'invalid_proof' || error === 'use_session_binding' ? 'proof' : undefined
}

/** Returns whether a request may be sent again after a response with this status. */
export function isRefusal(status: number): boolean {
  return status === 401 || status === 429 || status === 503
}

/** A response, and what a retry needs. */
export interface Refused {
  readonly status: number
  readonly headers: Headers
  readonly retryWith: RetryWith | undefined
}

/**
 * Returns the milliseconds until a retry; undefined when the caller gets the response.
 * `tried` are the previous remedies; none is tried twice.
 */
export function waitAfterAnswer(
  request: Request,
  { status, headers, retryWith }: Refused,
  tries: number,
  tried: readonly RetryWith[],
): number | undefined {
  if (tries >= maximumTries || !isRepeatable(request.body)) return undefined
  if (retryWith !== undefined) return tried.includes(retryWith) ? undefined : 0
  if ((status !== 429 && status !== 503) || !isIdempotent(request.method)) return undefined
  const wait = readRetryAfter(headers['retry-after'], headers.date) ?? 0
  return wait <= longestRetryAfter ? wait + jitter(tries) : undefined
}

function isIdempotent(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].includes(method)
}

/** Returns whether a body can be sent twice. */
function isRepeatable(body: Request['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array
}

/** Returns whether the server closes its connection after this response (RFC 9112 §9.6). */
export function announcesEnd({ connection }: Headers): boolean {
  return connection !== undefined && /(?:^|,)\s*close\s*(?:,|$)/i.test(String(connection))
}

/** Builds the error for the caller of a request to `address` (`HOST:PORT`) that is not sent again. */
export function describeBreak(cause: Error, point: FailurePoint, address: string): Error {
  if (isTimeout(cause)) return new ClientError('timed_out', { cause, address })
  if (!isBreak(cause)) return cause // the request was invalid, or the caller's body failed
  return new ClientError(point === 'unknown' ? 'connection_lost' : 'not_begun', { cause, address })
}

/** Returns whether an error means that the connection broke, not that the request was invalid. */
export function isBreak(error: unknown): boolean {
  const code = codeOf(error)
  return breaks.includes(code) || /^ERR_(HTTP2|SSL)_/.test(code)
}

/** Returns whether undici timed out on a silent server; the connection may be dead. */
export function isTimeout(error: unknown): boolean {
  return ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'].includes(codeOf(error))
}

/** Codes of undici, of sockets, and of a channel that has ended. */
const breaks: readonly string[] = [
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'connection_lost',
]
