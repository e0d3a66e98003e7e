// POST /oauth/token: authenticates the client and calls the grant (RFC 6749 §3.2).
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { GrantType } from '../../core/client.ts'
import { OAuthError } from '../../core/errors.ts'
import { acceptForms, type Form, readForm, requireParameter } from '../bodies.ts'
import { formatUnavailable } from '../clients/token-format.ts'
import { authenticate } from '../grants/authenticate.ts'
import { clientCredentials } from '../grants/client-credentials.ts'
import type { Grant } from '../grants/grant.ts'
import type { TokenAnswer } from '../grants/issue.ts'
import { refreshToken } from '../grants/refresh-token.ts'
import { tokenExchange } from '../grants/token-exchange.ts'
import type { ServerParts } from '../parts.ts'

const grants: Partial<Record<GrantType, Grant>> = {
  client_credentials: clientCredentials,
  refresh_token: refreshToken,
  'urn:ietf:params:oauth:grant-type:token-exchange': tokenExchange,
}

/** The grant types that the metadata lists. */
export const supportedGrants = Object.keys(grants)

export function tokenRoute(app: FastifyInstance, parts: ServerParts): void {
  acceptForms(app)
  app.post('/oauth/token', async (request, reply) => {
    const answer = await answerTokenRequest(request, readForm(request.body), parts)
    reply.header('cache-control', 'no-store').header('pragma', 'no-cache')
    return answer
  })
}

/** Answers a token request. @throws OAuthError (rejects) */
export async function answerTokenRequest(
  request: FastifyRequest,
  form: Form,
  parts: ServerParts,
): Promise<TokenAnswer> {
  const arrived = { time: parts.clock(), monotonic: performance.now() }
  const by = await authenticate(request, form, parts)
  // Before a grant stores anything.
  if (by.client.format === 'paseto' && !parts.keys.hasPaseto(parts.now())) throw formatUnavailable()
  const type = requireParameter(form, 'grant_type')
  const grant = Object.hasOwn(grants, type) ? grants[type as GrantType] : undefined
  if (grant === undefined)
    throw new OAuthError('unsupported_grant_type', 'grant_type_unsupported', 'grant_type', { found: type })
  if (!by.client.grantTypes.has(type as GrantType))
    throw new OAuthError('unauthorized_client', 'grant_type_not_allowed', 'grant_type', {
      found: type,
      expected: [...by.client.grantTypes].join(' '),
    })
  return grant({ request, form, by, parts, arrived })
}
