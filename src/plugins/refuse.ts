// Sends a refusal as a Fastify reply.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { OAuthError } from '../core/errors.ts'
import { endRefused } from '../tls/connection.ts'
import { buildRefusal, type RefusalContext } from '../verify/refusal.ts'

/** Is called for every refusal, before its response. In the server it records the refusal as one security event. */
export type RefusalListener = (request: FastifyRequest, refusal: OAuthError, status: number) => void

export interface RefusalOptions extends Omit<RefusalContext, 'authorization'> {
  readonly onRefusal?: RefusalListener | undefined
}

/** Sends a refusal as the response to a request. */
export function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: OAuthError,
  options: RefusalOptions = {},
): FastifyReply {
  const { authorization } = request.headers
  const { status, headers, body, endsConnection } = buildRefusal(refusal, { ...options, authorization })
  try {
    options.onRefusal?.(request, refusal, status)
  } catch (error) {
    if (!(error instanceof OAuthError) || error === refusal) throw error
    return refuse(request, reply, error, { ...options, status: undefined }) // the event could not be written
  }
  if (endsConnection) endRefused(request.raw, reply.raw)
  return reply.code(status).headers(headers).send(body)
}
