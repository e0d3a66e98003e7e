// Authenticates the client of an OAuth endpoint: by certificate, client_id, and a secret if its registration requires one
// (RFC 6749 §2.3, RFC 8705 §2). The result is remembered on the connection, whose certificate cannot change.
import type { FastifyRequest } from 'fastify'
import { type Client, usesSecret } from '../../core/client.ts'
import { authenticateClient } from '../../core/client-authentication.ts'
import { malformed, OAuthError } from '../../core/errors.ts'
import type { Presenter } from '../../core/presenter.ts'
import { type Connection, connectionOf, requirePresenter } from '../../tls/connection.ts'
import { countHeaders } from '../../verify/bearer.ts'
import { type Form, requireParameter } from '../bodies.ts'
import { readBasic } from '../clients/client-secret.ts'
import type { ServerParts } from '../parts.ts'

/** What authentication needs of the server. */
export type AuthenticationParts = Pick<ServerParts, 'now' | 'state' | 'clients' | 'secrets' | 'attachTokenFacts'>

export interface Authenticated {
  /** Seconds since 1970. Issued tokens carry this time, so that a revocation during the request covers them. */
  readonly at: number
  /** Number of the latest known revocation mark ahead of that time. It does not revoke what is issued now. */
  readonly issuedAfter: number | undefined
  readonly client: Client
  readonly presenter: Presenter
  readonly connection: Connection
}

/** The parameters that carry a token to an OAuth endpoint. */
const tokenParameters = ['token', 'refresh_token', 'subject_token'] as const

/**
 * Authenticates the client of a request. A refusal contains the facts of a valid token of this server in the request, for
 * the event and the alarm.
 * @throws OAuthError (rejects) `invalid_client` or `malformed_request`.
 */
export async function authenticate(
  request: FastifyRequest,
  form: Form,
  parts: AuthenticationParts,
): Promise<Authenticated> {
  try {
    return await findClient(request, form, parts)
  } catch (error) {
    const token = form[tokenParameters.find(parameter => form[parameter] !== undefined) ?? '']
    if (token !== undefined && error instanceof OAuthError && error.code === 'invalid_client')
      await parts.attachTokenFacts(token, error)
    throw error
  }
}

async function findClient(request: FastifyRequest, form: Form, parts: AuthenticationParts): Promise<Authenticated> {
  const at = parts.now()
  const connection = connectionOf(request.raw) as Connection // a presenter has a connection
  const presenter = requirePresenter(connection, at, 'invalid_client', request.raw)
  for (const parameter of ['client_secret', 'client_assertion'])
    if (form[parameter] !== undefined)
      throw malformed('parameter_not_supported', {
        parameter,
        expected: 'authenticate with the certificate, and a secret in the Authorization header', // RFC 6749 §2.3.1
      })
  if (request.method === 'POST' && request.url.includes('?')) throw malformed('query_not_allowed')

  parts.state.requireSync() // the client may have been disabled
  const { authorization } = request.headers
  if (countHeaders(request.raw.rawHeaders, 'authorization') > 1) throw malformed('authorization_repeated')
  const basic = readBasic(authorization)
  const id = form.client_id ?? basic?.id ?? requireParameter(form, 'client_id')
  if (basic !== undefined && basic.id !== id) throw malformed('client_id_differs', { found: basic.id })
  const issuedAfter = parts.state.findMark(id, presenter.certificate.thumbprint, at)
  const registered = parts.clients.get(id)
  if (registered === undefined) throw new OAuthError('invalid_client', 'unknown_client', 'not_registered')
  const { client, disabled, secrets } = registered
  const needsSecret = usesSecret(client)
  if (authorization !== undefined && !needsSecret) throw malformed('authorization_not_expected')
  if (authorization !== undefined && basic === undefined)
    throw malformed('authorization_malformed', { found: 'no valid Basic credentials' })

  if (connection.client !== client) {
    authenticateClient(client, presenter)
    if (!needsSecret) connection.client = client
  }
  if (needsSecret) await parts.secrets.check(id, basic?.secret ?? '', secrets, connection)
  if (disabled) {
    parts.secrets.forget(id)
    throw new OAuthError('invalid_client', 'client_disabled', 'disabled')
  }
  return { at, issuedAfter, client, presenter, connection }
}
