// Decides which scope, binding and audience a token may have. Evaluated for every token request; the result is never cached.
import type { AccessTokenClaims } from './access-token.ts'
import { isScope, parseScope } from './access-token.ts'
import type { Client } from './client.ts'
import type { TokenBinding } from './confirmation.ts'
import { OAuthError } from './errors.ts'

/** The parameters of a token request; an absent one is undefined. */
export interface TokenRequest {
  readonly scope: string | undefined
  readonly binding: string | undefined
  readonly resource: string | undefined
}

/** The resource servers that this server issues tokens for. */
export interface Targets {
  /** Used when a request names no resource. */
  readonly fallback: string
  /** The registered spelling of a target; undefined: there is no such target. */
  find(resource: string): string | undefined
}

/** Whether two resource identifiers name one target: an empty path and `/` are the same (RFC 3986 §6.2.3). */
export function isSameTarget(one: string, other: string): boolean {
  return one === other || otherSpelling(one) === other
}

/** The same identifier with an empty path in the place of `/`, or the reverse; one with another path as it is. */
export function otherSpelling(resource: string): string {
  return resource.replace(/^(https:\/\/[^/?#]+)(\/?)(?=[?#]|$)/i, (_, authority: string, path: string) =>
    path === '' ? `${authority}/` : authority,
  )
}

/** The values that the token will have. */
export interface Authorization extends Pick<AccessTokenClaims, 'aud' | 'scope'> {
  readonly binding: TokenBinding
}

/**
 * Returns the scope, binding and audience of the token. Defaults: the whole registered scope, and the first registered binding.
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
  const resource = request.resource ?? targets.fallback
  const aud = targets.find(resource)
  if (aud === undefined)
    // RFC 8707 §2
    throw new OAuthError('invalid_target', 'target_unknown', 'not_registered', { found: withoutQuery(resource) })
  return { aud, scope, binding }
}

/** Returns a URL without its query, which can contain a secret, for use in events. */
export function withoutQuery(address: string): string {
  return address.split('?')[0] as string
}

function isAllowed(binding: string | undefined, client: Client): binding is TokenBinding {
  return (client.bindings as readonly (string | undefined)[]).includes(binding)
}
