// What a route demands of a valid token: scope, binding level, proof.
import { type AccessToken, isScope, parseScope } from '../core/access-token.ts'
import { checkOptions, oneOf, type Rules } from '../core/check-options.ts'
import { isAtLeast, type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { type ErrorCode, OAuthError, type Why } from '../core/errors.ts'
import { describeToken } from './token-facts.ts'

export interface TokenDemand {
  /** Scope tokens separated by single spaces. All of them are required. */
  readonly scope?: string
  /** The weakest accepted level. Default: every level that the issuer issues. */
  readonly binding?: TokenBinding
  /**
   * `per-request`: each request needs a binding proof of its own (`jti`, `htm`, `htu`). `signed-request`: each request needs a
   * signature of its own, which covers its body (RFC 9421).
   */
  readonly proof?: RequestProof
}

/** What each request must carry besides its token. */
export const requestProofs = ['per-request', 'signed-request'] as const
export type RequestProof = (typeof requestProofs)[number]

/** A parsed demand. */
export interface Demand {
  readonly scope: readonly string[]
  readonly binding: TokenBinding
  readonly proof: RequestProof | undefined
}

export const demandRules: Rules = {
  scope: { expected: 'scope tokens separated by single spaces', isValid: isScope },
  binding: oneOf(tokenBindings),
  proof: {
    expected: 'per-request, signed-request or absent',
    isValid: value => requestProofs.includes(value as RequestProof),
  },
}

/** Checks the demand of a route, which messages call `name`. @throws TypeError that names each wrong member. */
export function checkDemand(demand: unknown, name: string): void {
  checkOptions(demand, name, {}, demandRules)
}

/**
 * Returns a function that checks and parses each demand once. A route's demand replaces members of `general`, which has been
 * checked. A member that is undefined replaces none, since it would silently drop a demand.
 */
export function createDemands(general: TokenDemand): (route: TokenDemand | undefined) => Demand {
  const base = parseDemand(general)
  const demands = new WeakMap<TokenDemand, Demand>()
  return route => {
    if (route === undefined) return base
    const known = demands.get(route)
    if (known !== undefined) return known
    checkDemand(route, 'demand')
    const given = Object.entries(route).filter(([, value]) => value !== undefined)
    const demand = parseDemand({ ...general, ...Object.fromEntries(given) })
    demands.set(route, demand)
    return demand
  }
}

/** Verifies the scope and level of a token. @throws OAuthError `binding_too_weak` or `scope_missing`. */
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

function parseDemand({ scope = '', binding = 'certificate', proof }: TokenDemand): Demand {
  return { scope: parseScope(scope), binding, proof }
}
