// Issues an access token: claims, signature or hash, its entry on the connection, and its event (RFC 6749 §5.1, RFC 9068).
import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { AccessTokenClaims } from '../../core/access-token.ts'
import type { GrantType } from '../../core/client.ts'
import type { Confirmation } from '../../core/confirmation.ts'
import { OAuthError } from '../../core/errors.ts'
import { buildOpaqueToken, hashOpaqueToken } from '../../core/opaque-token.ts'
import type { Authorization } from '../../core/policy.ts'
import { formatUnavailable } from '../clients/token-format.ts'
import type { ServerParts } from '../parts.ts'
import type { Authenticated } from './authenticate.ts'

export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly scope: string
  readonly token_binding: string
  readonly refresh_token?: string
  readonly issued_token_type?: string
}

/** The contents of an access token after authorization. */
export interface Issuance {
  readonly grantType: GrantType
  readonly authorization: Authorization
  /** Built before anything is stored, since the connection may not support the binding. */
  readonly cnf: Confirmation
  readonly subject: string
  readonly grant?: string | undefined
  readonly act?: { readonly sub: string } | undefined
  /** Seconds since 1970 that the token must not outlive, if earlier than its usual expiry. */
  readonly expires?: number | undefined
}

/** What issuing needs of the server. */
type IssuanceParts = Pick<ServerParts, 'settings' | 'keys' | 'verifier' | 'store' | 'state' | 'audit'>

export async function issueAccessToken(
  request: FastifyRequest,
  { at: issuedAt, issuedAfter, client, presenter, connection }: Authenticated,
  { grantType, authorization, cnf, subject, grant, act, expires = Number.POSITIVE_INFINITY }: Issuance,
  { settings, keys, verifier, store, state, audit }: IssuanceParts,
): Promise<TokenAnswer> {
  const { aud, scope, binding } = authorization
  const claims: AccessTokenClaims = {
    iss: settings.issuer,
    sub: subject,
    aud,
    client_id: client.id,
    scope,
    iat: issuedAt,
    exp: Math.min(issuedAt + settings.accessTokenLifetime, expires),
    jti: randomUUID(),
    ...(grant !== undefined && { grant }),
    ...(act !== undefined && { act }),
    ...(issuedAfter !== undefined && { issued_after: issuedAfter }),
    ...(presenter.attested !== undefined && { attested: presenter.attested }),
    cnf,
  }
  let token: string | undefined
  if (client.format === 'jwt') token = keys.sign(claims, issuedAt)
  else if (client.format === 'paseto') token = keys.signPaseto(claims, issuedAt)
  else {
    token = buildOpaqueToken('at', randomBytes(32))
    await store.keepAccessToken(hashOpaqueToken(token), JSON.stringify(claims), claims.exp)
  }
  if (token === undefined) throw formatUnavailable() // the key was removed since the request arrived
  // A grant revoked during the store call issues no token. Marks by time are ignored: a token older than one is invalid
  // anyway.
  const isOver = grant !== undefined && state.isRevoked({ ...claims, iat: Number.POSITIVE_INFINITY })
  if (isOver) throw new OAuthError('invalid_grant', 'refresh_revoked', 'revoked')
  audit.tokenIssued(request, claims, binding, grantType)
  verifier.remember(token, claims, binding, connection)
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: claims.exp - issuedAt,
    scope,
    token_binding: binding,
  }
}
