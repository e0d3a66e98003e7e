// OAuthError → status, body, WWW-Authenticate. The only place that writes a refusal (RFC 6749 §5.2, RFC 6750 §3).
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { type ErrorCode, OAuthError, type Reason } from '../core/errors.ts'
import { type ErrorLog, logError } from '../core/guard.ts'
import { endConnection } from './connection.ts'
import { octetKinds, recognizeOctets } from './first-octets.ts'

/** Told of every refusal, so that each becomes one security event. */
export type RefusalListener = (request: FastifyRequest, refusal: OAuthError, status: number) => void

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_token: 401,
  invalid_client: 401,
  invalid_proof: 401,
  use_session_binding: 401,
  insufficient_scope: 403,
  temporarily_unavailable: 503,
}

export interface RefusalOptions {
  /** Where the protected resource describes itself (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** Only for refusals that HTTP itself has a status for, such as 404 or 415. */
  readonly status?: number | undefined
  /** Whether a token could make the request good; 401 and 403 say so in any case. */
  readonly challenge?: boolean
  readonly onRefusal?: RefusalListener | undefined
}

/** Reasons that lie in the certificate of the connection, which ends with the refusal, so that no pool reuses it. */
const endsConnection: ReadonlySet<Reason> = new Set<Reason>([
  'certificate_untrusted',
  'certificate_expired',
  'certificate_revoked',
])

/** Answers a request with a refusal. `reply` is then sent. */
export function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: OAuthError,
  options: RefusalOptions = {},
): FastifyReply {
  const { code, reason } = refusal
  const status = options.status ?? (code === undefined ? 401 : (statuses[code] ?? 400))
  try {
    options.onRefusal?.(request, refusal, status)
  } catch (error) {
    if (!(error instanceof OAuthError) || error === refusal) throw error
    return refuse(request, reply, error, { ...options, status: undefined }) // its event could not be written
  }
  // Another handshake may have another outcome, once the client or the files are mended; this connection cannot.
  if (endsConnection.has(reason)) endConnection(request.raw, reply.raw)
  reply.code(status).header('cache-control', 'no-store').header('pragma', 'no-cache')
  // RFC 6749 §5.2: whoever came with a scheme is asked for the same one.
  const basic = code === 'invalid_client' && /^basic /i.test(request.headers.authorization ?? '')
  const isChallenge = status === 401 || code === 'insufficient_scope'
  if ((options.challenge === true && status < 500) || isChallenge)
    reply.header('www-authenticate', basic ? 'Basic realm="tlsbound"' : challenge(refusal, options.resourceMetadata))
  if (status === 503) reply.header('retry-after', '1')
  return reply.send(buildBody(refusal))
}

/** What Node says of octets that are no request: its code, the parser's words, and the last octets that came. */
export interface ClientError {
  readonly code?: string | undefined
  readonly reason?: string | undefined
  readonly rawPacket?: unknown
}

/**
 * Refuses bytes that are no request, on the connection itself, which then ends. Nobody is refused who is gone, has been
 * already, has more answers under way than it reads, or has asked nothing yet, as a browser that connects ahead of need.
 */
export function refuseBytes(socket: Socket, error: ClientError, onRefusal: (refusal: OAuthError) => void): void {
  const { code } = error
  if (code === 'ECONNRESET' || code === 'HPE_PAUSED' || !socket.writable || socket.bytesRead === 0)
    return void socket.destroy()
  const [status, phrase, refusal] = describeClientError(error)
  onRefusal(refusal)
  const body = JSON.stringify(buildBody(refusal))
  const fields = ['content-type: application/json', `content-length: ${body.length}`, 'connection: close']
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${fields.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function describeClientError({ code, reason, rawPacket }: ClientError): [number, string, OAuthError] {
  const [status, phrase] = statusLines[code ?? ''] ?? [400, 'Bad Request']
  const arrived = Buffer.isBuffer(rawPacket) ? recognizeOctets(rawPacket) : 'unknown'
  const isForeign = code === 'HPE_INVALID_METHOD' && arrived !== 'http' && arrived !== 'unknown'
  const known: readonly [MalformedDetail, string?] = isForeign
    ? ['not_http', octetKinds[arrived]]
    : (parserErrors[code ?? ''] ?? ['not_http', octetKinds[arrived]])
  const [detail, found = reason] = known
  return [status, phrase, malformed(detail, { code, found })]
}

/** Node's codes for what has a status of its own. */
const statusLines: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
}

type MalformedDetail = DetailOf<'malformed_request'>

/** The codes of Node's parser, with what was found where its own words do not say so. */
const parserErrors: Readonly<Record<string, readonly [MalformedDetail, string?]>> = {
  HPE_HEADER_OVERFLOW: ['head_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timed_out'],
  HPE_INVALID_METHOD: ['method_malformed'],
  HPE_INVALID_URL: ['target_malformed', 'an octet or a form that no request target has'],
  HPE_INVALID_VERSION: ['version_unsupported'],
  HPE_INVALID_CONSTANT: ['version_unsupported'],
  HPE_INVALID_HEADER_TOKEN: ['header_malformed'],
  HPE_UNEXPECTED_SPACE: ['header_malformed'],
  HPE_CR_EXPECTED: ['line_end'],
  HPE_LF_EXPECTED: ['line_end'],
  HPE_STRICT: ['line_end'],
  HPE_UNEXPECTED_CONTENT_LENGTH: ['body_framing'],
  HPE_INVALID_CONTENT_LENGTH: ['body_framing'],
  HPE_INVALID_TRANSFER_ENCODING: ['body_framing'],
  HPE_INVALID_CHUNK_SIZE: ['chunk_malformed'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['chunk_malformed'],
  HPE_INVALID_EOF_STATE: ['request_incomplete'],
  HPE_CLOSED_CONNECTION: ['after_close'],
}

function buildBody({ code, message, reason }: OAuthError): object {
  return { ...(code !== undefined && { error: code }), error_description: message, reason }
}

/** RFC 6750 §3: a request without a token is told where to look, not that it made an error. */
function challenge({ code, message }: OAuthError, resourceMetadata: string | undefined): string {
  const parameters = [
    ...(code === undefined ? [] : [`error="${code}"`, `error_description="${message}"`]),
    ...(resourceMetadata === undefined ? [] : [`resource_metadata="${resourceMetadata}"`]),
  ]
  return parameters.length > 0 ? `Bearer ${parameters.join(', ')}` : 'Bearer realm="tlsbound"'
}

/**
 * What an error means for the one who sent the request: a refusal of ours, a complaint of HTTP (a body too large, a type
 * that nobody reads here …) with its own status, or nothing: then the fault is ours.
 */
export function readRefusal(
  error: unknown,
  request: FastifyRequest,
): { refusal: OAuthError; status?: number } | undefined {
  if (error instanceof OAuthError) return { refusal: error }
  if (error instanceof RequestError) return { refusal: malformed(error.detail, error.facts), status: error.statusCode }
  const { statusCode: status, code } = (error ?? {}) as { statusCode?: unknown; code?: unknown }
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  return { refusal: describeFrameworkError(String(code), request), status }
}

/** A refusal by one of Fastify's own codes. */
export function describeFrameworkError(code: string, { headers, routeOptions }: FastifyRequest): OAuthError {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return malformed('body_too_large', { limit: routeOptions.bodyLimit, found: headers['content-length'], code })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return malformed('content_type', { found: headers['content-type'], code })
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return malformed('content_type_missing', { code })
    case 'FST_ERR_BAD_URL':
      return malformed('target_malformed', { found: 'a percent sign that begins no code of UTF-8', code })
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return malformed('target_malformed', { found: 'a segment that is too long', code })
    default:
      return malformed('http_error', { code })
  }
}

export function malformed(detail: MalformedDetail, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'malformed_request', detail, facts)
}

/**
 * Answers a request with 500, and logs the cause, of which the client is told nothing. Never throws.
 */
export function answerUnexpected(
  request: FastifyRequest,
  reply: FastifyReply,
  log: ErrorLog,
  error: unknown,
): FastifyReply {
  logError(log, error, 'unhandled error', { request_id: request.id })
  return reply.code(500).send({ error: 'server_error', error_description: 'Internal server error.' })
}

/** An error handler for Fastify that answers what `answer` throws: Fastify's own would show its message to the client. */
export function guardErrorHandler(log: ErrorLog, answer: ErrorHandler): ErrorHandler {
  return (error, request, reply) => {
    try {
      return answer(error, request, reply)
    } catch (failure) {
      return answerUnexpected(request, reply, log, failure)
    }
  }
}
type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => unknown

/** A request that HTTP has its own status for: 404, 405, 421 … */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly statusCode: number
  readonly detail: MalformedDetail
  readonly facts: RefusalFacts

  constructor(statusCode: number, detail: MalformedDetail, facts: RefusalFacts = {}) {
    super(`HTTP ${statusCode}`)
    this.statusCode = statusCode
    this.detail = detail
    this.facts = facts
  }
}
