// Another client's valid token at an endpoint that answers every token alike: revocation, or introspection by a client
// without a resource. The response does not reveal whether the token is valid; the event and the alarm do.
import type { FastifyRequest } from 'fastify'
import { OAuthError, type TokenFacts } from '../../core/errors.ts'
import type { ServerParts } from '../parts.ts'

/**
 * Records the refusal of another client's valid token. It runs after the response, which is 200 for every token, so that
 * the time of the response does not depend on the token either.
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
