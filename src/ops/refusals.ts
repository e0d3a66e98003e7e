// Refusals of the ops listener: in the form of server/errors.ts, with a sentence for each problem, because the reader is
// the operator. They never contain a secret.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { malformed, OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { refuse } from '../plugins/refuse.ts'
import { answerUnexpected, readRefusal } from '../server/errors.ts'
import type { Audit } from '../server/record-events.ts'

/** A refusal with its own HTTP status, and its problems. */
export class OpsRefusal extends Error {
  override readonly name = 'OpsRefusal'
  readonly status: number
  readonly refusal: OAuthError
  readonly problems: readonly string[]

  constructor(
    status: number,
    problems: readonly string[],
    refusal = malformed('body_form', { expected: 'see the problems' }),
  ) {
    super(problems.join('; '))
    this.status = status
    this.refusal = refusal
    this.problems = problems
  }
}

/** Refuses an unknown client with 404. */
export function unknownClient(): OpsRefusal {
  return new OpsRefusal(404, [], new OAuthError('invalid_request', 'unknown_client', 'not_registered'))
}

/** Returns the reply with problems added to the refusal's body, if there are any. */
export function withProblems(reply: FastifyReply, problems: readonly string[]): FastifyReply {
  if (problems.length === 0) return reply
  return reply.type('application/json').serializer((body: object) => JSON.stringify({ ...body, problems }))
}

/** Answers any error: refusals with their event, all others as unhandled errors. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, audit: Audit): FastifyReply {
  const problems = error instanceof OpsRefusal ? error.problems : []
  const known = error instanceof OpsRefusal ? error : readRefusal(error, request)
  if (known === undefined) return answerUnexpected(request, reply, request.log, error)
  const { refusal, status } = known
  if (refusal.cause !== undefined) logError(request.log, refusal.cause, refusal.reason, { request_id: request.id })
  return refuse(request, withProblems(reply, problems), refusal, { status, onRefusal: audit.adminRefused })
}
