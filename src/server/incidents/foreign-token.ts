// A client that brings the living token of another client to an endpoint that answers every token alike: revocation, and
// introspection where it has no resource. The answer does not tell whether the token lives; the event and the alarm do.
import type { FastifyRequest } from 'fastify'
import { OAuthError, type TokenFacts } from '../../core/errors.ts'
import type { ServerParts } from '../parts.ts'

/**
 * Writes the refusal of a living token that belongs to another client than the one that asks. It is written after the answer,
 * which is 200 whatever the token is, so that the time of the answer does not depend on the token either.
 */
export function reportForeignToken(
  request: FastifyRequest,
  detail: 'other_owner' | 'not_a_resource',
  token: TokenFacts,
  { onRefusal, log }: Pick<ServerParts, 'onRefusal' | 'log'>,
): void {
  const refusal = new OAuthError('invalid_token', 'client_mismatch', detail)
  refusal.token = token
  setImmediate(() => {
    try {
      onRefusal(request, refusal, 200)
    } catch (error) {
      log.error({ err: error, request_id: request.id }, 'the refusal of a stolen token could not be written')
    }
  })
}
