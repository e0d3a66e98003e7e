// What a route demands of a token, beyond that it is valid.
import { type AccessToken, isScope, parseScope } from '../core/access-token.ts'
import { isAtLeast, type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { type ErrorCode, OAuthError, type Why } from '../core/errors.ts'
import { describeToken } from './token-facts.ts'

export interface TokenDemand {
  /** Scope tokens with single spaces between them; all are needed. */
  readonly scope?: string
  /** The weakest level that is accepted. Default: every level that the issuer issues. */
  readonly binding?: TokenBinding
  /** `per-request`: each request needs a binding proof that was made for it alone (`jti`, `htm`, `htu`). */
  readonly proof?: 'per-request'
}

/** A demand in the form in which requests are compared with it. */
export interface Demand {
  readonly scope: readonly string[]
  readonly binding: TokenBinding
  readonly perRequest: boolean
}

/** Returns the function that parses demands, each object once. The demand of a route replaces members of `general`. */
export function createDemands(general: TokenDemand): (route: TokenDemand | undefined) => Demand {
  const base = parseDemand(general)
  const demands = new WeakMap<TokenDemand, Demand>()
  return route => {
    if (route === undefined) return base
    const known = demands.get(route)
    if (known !== undefined) return known
    const demand = parseDemand({ ...general, ...route })
    demands.set(route, demand)
    return demand
  }
}

/** @throws OAuthError `binding_too_weak` or `scope_missing`. */
export function requireDemand(token: AccessToken, { scope, binding }: Demand): void {
  if (!isAtLeast(token.binding, binding))
    throw refusal(token, 'invalid_token', 'binding_too_weak', 'level', { found: token.binding, expected: binding })
  if (!scope.every(name => token.scope.includes(name)))
    throw refusal(token, 'insufficient_scope', 'scope_missing', 'scope', {
      found: token.scope.join(' '),
      expected: scope.join(' '),
    })
}

function refusal({ claims }: AccessToken, code: ErrorCode, ...why: Why): OAuthError {
  const error = new OAuthError(code, ...why)
  error.token = describeToken({ ...claims })
  return error
}

/** @throws TypeError that names the member which is wrong. */
function parseDemand({ scope = '', binding = 'certificate', proof }: TokenDemand): Demand {
  if (!isScope(scope)) throw new TypeError('scope must be words with single spaces between them')
  if (!tokenBindings.includes(binding)) throw new TypeError(`binding must be ${tokenBindings.join(' or ')}`)
  if (proof !== undefined && proof !== 'per-request') throw new TypeError('proof must be per-request, or be left out')
  return { scope: parseScope(scope), binding, perRequest: proof === 'per-request' }
}
