// Refusals of the ops listener: in the form of server/errors.ts, and with every problem in a sentence, since whoever reads
// them runs the server. Nothing of a secret is ever among them.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { malformed, OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { refuse } from '../plugins/refuse.ts'
import { answerUnexpected, readRefusal } from '../server/errors.ts'
import type { Audit } from '../server/record-events.ts'

/** A refusal with a status of HTTP's own, and what is wrong. */
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

/** There is no such client here: 404. */
export function unknownClient(): OpsRefusal {
  return new OpsRefusal(404, [], new OAuthError('invalid_request', 'unknown_client', 'not_registered'))
}

/** The same reply, whose body names problems beside what a refusal says, if there are any. */
export function withProblems(reply: FastifyReply, problems: readonly string[]): FastifyReply {
  if (problems.length === 0) return reply
  return reply.type('application/json').serializer((body: object) => JSON.stringify({ ...body, problems }))
}

/** Answers any error: a refusal as such with its event, all else as an unhandled error.  */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, audit: Audit): FastifyReply {
  const problems = error instanceof OpsRefusal ? error.problems : []
  const known = error instanceof OpsRefusal ? error : readRefusal(error, request)
  if (known === undefined) return answerUnexpected(request, reply, request.log, error)
  const { refusal, status } = known
  if (refusal.cause !== undefined) logError(request.log, refusal.cause, refusal.reason, { request_id: request.id })
  return refuse(request, withProblems(reply, problems), refusal, { status, onRefusal: audit.adminRefused })
}
