// What a client may have now: asked when a token is issued, never remembered.
import type { AccessTokenClaims } from './access-token.ts'
import { isScope, readScope } from './access-token.ts'
import type { Client } from './client.ts'
import type { TokenBinding } from './confirmation.ts'
import { OAuthError } from './errors.ts'

/** What a token request asks for; what it leaves out is undefined. */
export interface Wish {
  readonly scope: string | undefined
  readonly binding: string | undefined
  readonly resource: string | undefined
}

/** The resource servers that tokens are issued for. */
export interface Targets {
  /** Where a request names none. */
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

export interface Permission extends Pick<AccessTokenClaims, 'aud' | 'scope'> {
  readonly binding: TokenBinding
}

/**
 * Decides what the client gets: its whole registered scope and its default binding where it asks for nothing else.
 * @throws OAuthError `scope_denied`, `binding_not_allowed` or `target_unknown`.
 */
export function decide(client: Client, wish: Wish, targets: Targets): Permission {
  const scope = wish.scope ?? [...client.scope].join(' ')
  if (!isScope(scope)) throw new OAuthError('invalid_scope', 'scope_denied', 'scope_malformed', { found: scope })
  if (!readScope(scope).every(token => client.scope.has(token)))
    throw new OAuthError('invalid_scope', 'scope_denied', 'not_registered', {
      found: scope,
      expected: [...client.scope].join(' '),
    })
  const binding = wish.binding ?? client.bindings[0]
  if (!isAllowed(binding, client))
    throw new OAuthError('invalid_request', 'binding_not_allowed', 'not_registered', {
      found: binding,
      expected: client.bindings.join(' '),
    })
  const resource = wish.resource ?? targets.fallback
  const aud = targets.find(resource)
  if (aud === undefined)
    // RFC 8707 §2
    throw new OAuthError('invalid_target', 'target_unknown', 'not_registered', { found: withoutQuery(resource) })
  return { aud, scope, binding }
}

/** A query can hold a secret; what is compared of an address in events is the part before it. */
export function withoutQuery(address: string): string {
  return address.split('?')[0] as string
}

function isAllowed(binding: string | undefined, client: Client): binding is TokenBinding {
  return (client.bindings as readonly (string | undefined)[]).includes(binding)
}
