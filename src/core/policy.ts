// What a client may have now: asked when a token is issued, never remembered.
import type { AccessTokenClaims } from './access-token.ts'
import { isScope, parseScope } from './access-token.ts'
import type { Client } from './client.ts'
import type { TokenBinding } from './confirmation.ts'
import { OAuthError } from './errors.ts'

/** What a token request asks for; what it leaves out is undefined. */
export interface TokenRequest {
  readonly scope: string | undefined
  readonly binding: string | undefined
  readonly resource: string | undefined
}

/** The resource servers that tokens are issued for. */
export interface Targets {
  /** Where a request names none. */
  readonly fallback: string
  has(audience: string): boolean
}

export interface Authorization extends Pick<AccessTokenClaims, 'aud' | 'scope'> {
  readonly binding: TokenBinding
}

/**
 * Decides what the client gets: its whole registered scope and its default binding where it asks for nothing else.
 * @throws OAuthError `scope_denied`, `binding_not_allowed` or `target_unknown`.
 */
export function authorize(client: Client, request: TokenRequest, targets: Targets): Authorization {
  const scope = request.scope ?? [...client.scope].join(' ')
  if (!isScope(scope)) throw new OAuthError('invalid_scope', 'scope_denied', 'scope_malformed', { found: scope })
  if (!parseScope(scope).every(token => client.scope.has(token)))
    throw new OAuthError('invalid_scope', 'scope_denied', 'not_registered', {
      found: scope,
      expected: [...client.scope].join(' '),
    })
  const binding = request.binding ?? client.bindings[0]
  if (!isAllowed(binding, client))
    throw new OAuthError('invalid_request', 'binding_not_allowed', 'not_registered', {
      found: binding,
      expected: client.bindings.join(' '),
    })
  const audience = request.resource ?? targets.fallback
  if (!targets.has(audience))
    // RFC 8707 §2
    throw new OAuthError('invalid_target', 'target_unknown', 'not_registered', { found: withoutQuery(audience) })
  return { aud: audience, scope, binding }
}

/** A query can hold a secret; what is compared of an address in events is the part before it. */
export function withoutQuery(address: string): string {
  return address.split('?')[0] as string
}

function isAllowed(binding: string | undefined, client: Client): binding is TokenBinding {
  return (client.bindings as readonly (string | undefined)[]).includes(binding)
}
