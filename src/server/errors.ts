// Maps errors to refusals for the client, and answers unhandled errors.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { malformed, OAuthError } from '../core/errors.ts'
import { type ErrorLog, logError } from '../core/guard.ts'

/**
 * Maps an error to a refusal: an OAuthError itself, or an HTTP error, such as a body that is too large, with its own
 * status. Returns undefined for an unhandled error.
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

/** Maps Fastify's own error codes to refusals. */
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

/** Sends 500 and logs the cause, which the client does not learn. Never throws. */
export function answerUnexpected(
  request: FastifyRequest,
  reply: FastifyReply,
  log: ErrorLog,
  error: unknown,
): FastifyReply {
  logError(log, error, 'unhandled error', { request_id: request.id })
  return reply.code(500).send({ error: 'server_error', error_description: 'Internal server error.' })
}

/**
 * Creates a Fastify error handler that sends what `answer` throws. Fastify's own handler would show the message to the
 * client.
 */
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

/** A request with an HTTP status of its own: 404, 405, 421 … */
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
