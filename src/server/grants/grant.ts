// Shared by the grants: the request, its parameters, and the first refresh token of a grant.
import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { buildOpaqueToken, hashOpaqueToken } from '../../core/opaque-token.ts'
import type { TokenRequest } from '../../core/policy.ts'
import type { Form } from '../bodies.ts'
import type { ServerParts } from '../parts.ts'
import type { Authenticated } from './authenticate.ts'
import type { Issuance, TokenAnswer } from './issue.ts'

export interface GrantRequest {
  readonly request: FastifyRequest
  readonly form: Form
  readonly by: Authenticated
  readonly parts: ServerParts
  /** Time of arrival: milliseconds since 1970, and of the monotonic clock. */
  readonly arrived: { readonly time: number; readonly monotonic: number }
}

export type Grant = (request: GrantRequest) => Promise<TokenAnswer>

/** The parameters of every grant (RFC 6749 §3.3, RFC 8707 §2, token_binding). */
export function tokenRequestOf({ scope, token_binding: binding, resource }: Form): TokenRequest {
  return { scope, binding, resource }
}

/** Stores a new grant with its first refresh token, which is bound to the presenter's certificate. */
export async function startGrant(
  { at: created, issuedAfter, client, presenter }: Authenticated,
  { authorization, subject, act }: Issuance,
  { store, settings }: Pick<ServerParts, 'store' | 'settings'>,
): Promise<{ grant: string; refreshToken: string }> {
  const grant = randomUUID()
  const refreshToken = buildOpaqueToken('rt', randomBytes(32))
  await store.createGrant(
    {
      id: grant,
      clientId: client.id,
      subject,
      scope: authorization.scope,
      audience: authorization.aud,
      binding: authorization.binding,
      certificate: presenter.certificate.thumbprint,
      rotation: client.rotation,
      created,
      issuedAfter,
      expires: created + settings.refreshTokenLifetime,
      ...(act !== undefined && { actor: JSON.stringify(act) }),
    },
    hashOpaqueToken(refreshToken),
  )
  return { grant, refreshToken }
}
