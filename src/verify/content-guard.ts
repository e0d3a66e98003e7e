// Verifies the body of a signed request while it arrives, in constant memory: the last piece and the end reach the reader once the
// digests match. Otherwise the stream of the request fails, so that no reader takes the body for complete.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Readable } from 'node:stream'
import { createDigestCheck, type DigestCheck, type Digests } from '../core/content-digest.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'

type Request = IncomingMessage | Http2ServerRequest

/** Is called when the body turns out to differ, before its stream fails. An exception replaces the error of the stream. */
export type ContentListener = (refusal: OAuthError) => void

interface Guard {
  /** Why the stream has failed. */
  error: Error | undefined
  /** By recipient: several demands of one request report its refusal once. */
  readonly listeners: Map<unknown, ContentListener>
  /** Answers the request, then calls `fail`. Default: the stream fails at once, and its reader answers. */
  answer: ((refusal: OAuthError, fail: () => void) => void) | undefined
}

const guards = new WeakMap<object, Guard>()

/**
 * Verifies the body of a request. One that has arrived completely is verified now, any other on its way to its reader. Nothing may
 * have read from it before.
 * @throws OAuthError `digest_invalid`.
 */
export function guardContent(request: Request, digests: Digests): void {
  const check = createDigestCheck(digests)
  readArrived(request, check)
  // HTTP/2 fills the request only when it is read.
  if (request.httpVersionMajor === 1 && request.complete) {
    requireMatch(check)
    return
  }
  const guard: Guard = { error: undefined, listeners: new Map(), answer: undefined }
  guards.set(request, guard)
  const { push } = request
  const isRead = request.httpVersionMajor === 1 ? () => true : observeReading(request)
  let held: Buffer | undefined
  let hasEnded = false // HTTP/2 says so twice
  request.push = (piece: Buffer | null) => {
    if (hasEnded) return false
    if (piece !== null) {
      check.update(piece)
      const before = held
      held = piece
      return before === undefined || push.call(request, before)
    }
    hasEnded = true
    if (isAbandoned(request) || !isRead()) {
      abandon(request)
      return false
    }
    try {
      requireMatch(check)
    } catch (error) {
      refuse(request, guard, error as OAuthError)
      return false
    }
    if (held !== undefined) push.call(request, held)
    return push.call(request, null)
  }
}

/** Verifies that the content of a request without a body, which is empty, has these digests. @throws OAuthError `digest_invalid`. */
export function requireEmptyContent(digests: Digests): void {
  requireMatch(createDigestCheck(digests))
}

/** Returns whether the body of a request is verified while it arrives, so that it can still be refused. */
export function isContentGuarded(request: object): boolean {
  return guards.has(request)
}

/**
 * Calls `listener` if the body of a request turns out to differ, once for each `recipient`. Without a signature, nothing happens.
 */
export function onContentRefused(request: object, listener: ContentListener, recipient: unknown = listener): void {
  guards.get(request)?.listeners.set(recipient, listener)
}

/** Calls `answer` in place of a reader's error handling, if the body of a request turns out to differ. The stream fails with `fail`. */
export function answerContentRefusal(request: object, answer: NonNullable<Guard['answer']>): void {
  const guard = guards.get(request)
  if (guard !== undefined) guard.answer = answer
}

/** Returns why the body of a request was refused after the request itself had been accepted. */
export function contentRefusalOf(request: object): Error | undefined {
  return guards.get(request)?.error
}

function refuse(request: Request, guard: Guard, refusal: OAuthError): void {
  guard.error = refusal
  try {
    for (const listener of guard.listeners.values()) listener(refusal)
  } catch (error) {
    guard.error = error as Error // such as an event that could not be written
  }
  const fail = () => failStream(request, guard.error as Error)
  if (guard.answer === undefined || guard.error !== refusal) fail()
  else guard.answer(refusal, fail)
}

/** Ends the stream of a request with an error. Node's own way would end the connection, and with it the answer. */
function failStream(request: Request, error: Error): void {
  const stream: Readable = request
  // Node too drops an error without a listener, which would otherwise end the program.
  stream._destroy = (_error, done) => queueMicrotask(() => done(stream.listenerCount('error') > 0 ? error : null))
  stream.destroy(error)
}

/**
 * Fails the stream of a request that has no end any more. Over HTTP/1.1 Node does it. Over HTTP/2 Node would read on: its assertion that
 * the connection is open would end the program.
 */
function abandon(request: Request): void {
  if (request.httpVersionMajor === 1) return
  failStream(request, Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
}

/** Reads what has arrived and leaves it where it is: taking it would oblige this program to read the rest. */
function readArrived(request: Request, check: DigestCheck): void {
  const { readableBuffer, readableLength, readableDidRead, readableEncoding } = request as Request & {
    readonly readableBuffer?: Iterable<Buffer>
  }
  let length = 0
  for (const piece of readableBuffer ?? []) {
    length += piece.length
    if (Buffer.isBuffer(piece)) check.update(piece)
  }
  if (readableDidRead || readableEncoding !== null || length !== readableLength) throw invalid('body_read')
}

/**
 * Returns whether anything has read from a request over HTTP/2 since. Its pieces arrive only then; without a reader Node discards them
 * after the response, and the end alone arrives.
 */
function observeReading(request: Request): () => boolean {
  const { _read: read } = request as Readable
  let isRead = false
  ;(request as Readable)._read = size => {
    isRead = true
    read.call(request, size)
  }
  return () => isRead
}

/** Returns whether the end has no reader any more: the response has ended without the body, or the client has disconnected. */
function isAbandoned(request: Request): boolean {
  const { aborted, _dumped: isDumped, stream } = request as Partial<Http2ServerRequest> & { readonly _dumped?: boolean }
  return aborted === true || isDumped === true || stream?.destroyed === true
}

function requireMatch(check: DigestCheck): void {
  const alg = check.findMismatch()
  if (alg !== undefined) throw invalid('mismatch', { alg })
}

/** With the members by which web frameworks select the status of an error. */
function invalid(detail: DetailOf<'digest_invalid'>, facts?: RefusalFacts): OAuthError {
  const refusal = new OAuthError('invalid_signature', 'digest_invalid', detail, facts)
  return Object.assign(refusal, { status: 401, statusCode: 401, expose: true })
}
