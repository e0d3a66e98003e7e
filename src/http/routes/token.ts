// POST /oauth/token: who asks, what may they have, whom is it bound to, sign (RFC 6749 §4.4, RFC 8705 §2, RFC 9068).
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AccessTokenClaims } from '../../core/access-token.ts'
import { authenticateClient } from '../../core/client-authentication.ts'
import { confirm } from '../../core/confirmation.ts'
import { OAuthError } from '../../core/errors.ts'
import { decide } from '../../core/policy.ts'
import { acceptForms, type Form, readForm } from '../bodies.ts'
import { type Connection, connectionOf, requirePresenter } from '../connection.ts'
import type { ServerParts } from '../parts.ts'

export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly scope: string
  readonly token_binding: string
}

export function tokenRoute(app: FastifyInstance, parts: ServerParts): void {
  acceptForms(app)
  app.post('/oauth/token', (request, reply) => {
    if (request.url.includes('?')) throw new OAuthError('invalid_request', 'malformed_request') // RFC 6749 §2.3.1
    const answer = issueToken(request, readForm(request.body), parts)
    reply.header('cache-control', 'no-store').header('pragma', 'no-cache').send(answer)
  })
}

/** Issues an access token to the presenter of the request's connection. @throws OAuthError */
export function issueToken(request: FastifyRequest, form: Form, parts: ServerParts): TokenAnswer {
  const { clients, settings, signingKey, verifier, audit } = parts
  const connection = connectionOf(request.raw.socket) as Connection // without one there is no presenter either
  const now = parts.now()
  const presenter = requirePresenter(connection, now, 'invalid_client')

  const { grant_type: grantType, client_id: clientId } = form
  if (grantType === undefined || clientId === undefined) throw new OAuthError('invalid_request', 'malformed_request')
  // One way of client authentication, and that is the certificate (RFC 6749 §2.3).
  if (
    request.headers.authorization !== undefined ||
    form.client_secret !== undefined ||
    form.client_assertion !== undefined
  )
    throw new OAuthError('invalid_request', 'malformed_request')
  const client =
    connection.client?.id === clientId ? connection.client : authenticateClient(clientId, presenter, clients)
  connection.client = client
  if (grantType !== 'client_credentials') throw new OAuthError('unsupported_grant_type', 'grant_type_unsupported')
  if (!client.grantTypes.has(grantType)) throw new OAuthError('unauthorized_client', 'grant_type_not_allowed')

  const { aud, scope, binding } = decide(
    client,
    { scope: form.scope, binding: form.token_binding, resource: form.resource },
    settings.audience,
  )
  const lifetime = settings.accessTokenLifetime
  const claims: AccessTokenClaims = {
    iss: settings.issuer,
    sub: client.id,
    aud,
    client_id: client.id,
    scope,
    iat: now,
    exp: now + lifetime,
    jti: randomUUID(),
    cnf: confirm(presenter, binding),
  }
  const token = signingKey.sign(claims)
  verifier.remember(token, claims, binding, connection)
  audit.tokenIssued(request, claims, binding)
  return { access_token: token, token_type: 'Bearer', expires_in: lifetime, scope, token_binding: binding }
}
