// OAuthError → status, body, WWW-Authenticate. The only place that writes a refusal (RFC 6749 §5.2, RFC 6750 §3).
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { type ErrorCode, OAuthError, type Reason } from '../core/errors.ts'
import { endConnection } from './connection.ts'

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
  if ((options.challenge === true && status < 500) || status === 401 || status === 403)
    reply.header('www-authenticate', basic ? 'Basic realm="tlsbound"' : challenge(refusal, options.resourceMetadata))
  if (status === 503) reply.header('retry-after', '1')
  return reply.send(buildBody(refusal))
}

/**
 * Refuses bytes that are no request, on the connection itself, which then ends. Nobody is refused who is gone, has been
 * already, has more answers under way than it reads, or has asked nothing yet, as a browser that connects ahead of need.
 */
export function refuseBytes(socket: Socket, code: string | undefined, onRefusal: (refusal: OAuthError) => void): void {
  if (code === 'ECONNRESET' || code === 'HPE_PAUSED' || !socket.writable || socket.bytesRead === 0)
    return void socket.destroy()
  const [status, phrase, detail] = protocolErrors[code ?? ''] ?? [400, 'Bad Request', 'not_http']
  const refusal = new OAuthError('invalid_request', 'malformed_request', detail, { code })
  onRefusal(refusal)
  const body = JSON.stringify(buildBody(refusal))
  const fields = ['content-type: application/json', `content-length: ${body.length}`, 'connection: close']
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${fields.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** Node's codes for what has a status of its own. */
const protocolErrors: Readonly<Record<string, readonly [number, string, DetailOf<'malformed_request'>]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'head_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'request_timed_out'],
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
export function readRefusal(error: unknown): { refusal: OAuthError; status?: number } | undefined {
  if (error instanceof OAuthError) return { refusal: error }
  if (error instanceof RequestError)
    return {
      refusal: new OAuthError('invalid_request', 'malformed_request', error.detail, error.facts),
      status: error.statusCode,
    }
  const { statusCode: status, code } = (error ?? {}) as { statusCode?: unknown; code?: unknown }
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  const detail = frameworkErrors[String(code)] ?? 'http_error'
  return { refusal: new OAuthError('invalid_request', 'malformed_request', detail, { code: String(code) }), status }
}

/** Fastify's codes for what has a detail of its own. */
const frameworkErrors: Readonly<Record<string, DetailOf<'malformed_request'>>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content_type',
}

/** A request that HTTP has its own status for: 404, 405, 421 … */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly statusCode: number
  readonly detail: DetailOf<'malformed_request'>
  readonly facts: RefusalFacts

  constructor(statusCode: number, detail: DetailOf<'malformed_request'>, facts: RefusalFacts = {}) {
    super(`HTTP ${statusCode}`)
    this.statusCode = statusCode
    this.detail = detail
    this.facts = facts
  }
}
