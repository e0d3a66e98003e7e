// When a request may be sent again, and when it may not. Pure.
// RFC 9110 §9.2.2 (idempotent methods), RFC 6750 §3.1 and draft-mw-oauth-tls-session-bound-tokens §3.5 (not executed).
import type { Dispatcher } from 'undici'
import { jitter, longestRetryAfter, readRetryAfter } from '../backoff.ts'
import { ClientError, codeOf } from '../errors.ts'

/** How often a request is sent at most. */
export const maximumTries = 3

/** How many channels may turn out to have ended before anything was written, one after the other. */
export const maximumUnwritten = 100

type Request = Pick<Dispatcher.DispatchOptions, 'method' | 'body'>
type Headers = Readonly<Record<string, string | string[] | undefined>>

/** What became of a request whose connection broke: nothing of it was written, the server refused it, or who knows. */
export type Fate = 'unwritten' | 'unprocessed' | 'unknown'

/** Whether a request may be sent again after this error. */
export function isSafeAfter(error: Error, fate: Fate, { method, body }: Request): boolean {
  if (!isBreak(error)) return false
  if (fate === 'unwritten') return true
  return isRepeatable(body) && (fate === 'unprocessed' || isIdempotent(method))
}

/** What a refused request needs before it is sent again. */
export type Remedy = 'token' | 'proof'

/** What a 401 asks for: the request was refused before it was executed. Undefined: another token would not help. */
export function readRemedy(status: number, headers: Headers): Remedy | undefined {
  const challenge = headers['www-authenticate']
  if (status !== 401 || challenge === undefined) return undefined
  const error = /(?:^|[\s,])error="?([a-z_]{1,64})/i.exec([challenge].flat().join(', '))?.[1]
  if (error === 'invalid_token') return 'token'
  return error === 'invalid_proof' || error === 'use_session_binding' ? 'proof' : undefined
}

/**
 * Milliseconds until a request is sent again that was answered so; undefined: the answer is for the caller.
 * `tried` are the remedies before this one: what did not help is not tried again.
 */
export function waitAfterAnswer(
  request: Request,
  status: number,
  headers: Headers,
  tries: number,
  tried: readonly Remedy[],
): number | undefined {
  if (tries >= maximumTries || !isRepeatable(request.body)) return undefined
  const remedy = readRemedy(status, headers)
  if (remedy !== undefined) return tried.includes(remedy) ? undefined : 0
  if ((status !== 429 && status !== 503) || !isIdempotent(request.method)) return undefined
  const wait = readRetryAfter(headers['retry-after'], headers.date) ?? 0
  return wait <= longestRetryAfter ? wait + jitter(tries) : undefined
}

function isIdempotent(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].includes(method)
}

/** Whether a body can be sent a second time. */
function isRepeatable(body: Request['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array
}

/** Whether the server ends its connection with this answer (RFC 9112 §9.6). */
export function announcesEnd({ connection }: Headers): boolean {
  return connection !== undefined && /(?:^|,)\s*close\s*(?:,|$)/i.test(String(connection))
}

/** The error for the caller of a request to `address`, `HOST:PORT`, that is not sent again. */
export function describeBreak(cause: Error, fate: Fate, address: string): Error {
  if (isTimeout(cause)) return new ClientError('timed_out', { cause, address })
  if (!isBreak(cause)) return cause // the request itself was wrong, or the caller's own body failed
  return new ClientError(fate === 'unknown' ? 'connection_lost' : 'not_begun', { cause, address })
}

/** Whether an error means that the connection broke, rather than that the request could not be right. */
export function isBreak(error: unknown): boolean {
  const code = codeOf(error)
  return breaks.includes(code) || /^ERR_(HTTP2|SSL)_/.test(code)
}

/** Whether a server that was silent made undici give up; its connection may be dead without anybody knowing. */
export function isTimeout(error: unknown): boolean {
  return ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'].includes(codeOf(error))
}

/** Errors of undici, of sockets, and of a channel that has ended. */
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
