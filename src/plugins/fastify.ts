// The reusable product: a Fastify plugin behind which every request must bring a token of its own connection.
// Everything that is registered beside or below it is protected, unknown addresses too; a route may demand more.
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type AccessToken, isScope, readScope } from '../core/access-token.ts'
import { isAtLeast, type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { type ErrorCode, OAuthError, type Why } from '../core/errors.ts'
import { type Connection, connectionOf } from '../tls/connection.ts'
import { refuseSecondToken } from '../verify/bearer.ts'
import { findIssuerKeys, type IssuerKeys } from '../verify/issuer-keys.ts'
import { describeToken } from '../verify/token-facts.ts'
import { createTokenReader } from '../verify/token-reader.ts'
import { createTokenVerifier, type TokenVerifier } from '../verify/token-verifier.ts'
import { type RefusalListener, refuse } from './refuse.ts'

/** What a route demands of a token, beyond its validity. */
export interface TokenDemand {
  /** Scope tokens with spaces between them; all are needed. */
  readonly scope?: string
  /** The weakest level that will do. Default: every level that the issuer issues. */
  readonly binding?: TokenBinding
  /** `per-request`: each request needs a binding proof that was made for it alone (`jti`, `htm`, `htu`). */
  readonly proof?: 'per-request'
}

export interface RequireTokenOptions extends TokenDemand {
  /** `iss` of the tokens. */
  readonly issuer: string
  /** `aud` of the tokens. */
  readonly audience: string
  /** The issuer's public keys: `{ keys }`, or `{ uri, ca }` of its `/oauth/jwks`, so that its rotation is followed. */
  readonly jwks: IssuerKeys
  /** Address of the protected resource's metadata, for the challenge (RFC 9728 §5.1). */
  readonly resourceMetadata?: string
  /** Called for each refusal, before it is answered. */
  readonly onRefusal?: RefusalListener
}

/** How our own server registers it: with a verifier that shares its keys and its clock. */
export type RequireTokenInternals = TokenDemand &
  Pick<RequireTokenOptions, 'resourceMetadata' | 'onRefusal'> & { readonly verifier: TokenVerifier }

declare module 'fastify' {
  interface FastifyRequest {
    /** The token of this request, once `requireToken` has let it pass. */
    token: AccessToken
  }
  interface FastifyContextConfig {
    requireToken?: TokenDemand
  }
}

const plugin: FastifyPluginAsync<RequireTokenOptions | RequireTokenInternals> = async (app, options) => {
  const general = readDemand(options)
  const demands = new WeakMap<TokenDemand, Demand>()
  const demandOf = (route: TokenDemand | undefined): Demand => {
    if (route === undefined) return general
    const demand = demands.get(route) ?? readDemand({ ...options, ...route })
    demands.set(route, demand)
    return demand
  }
  app.addHook('onRoute', route => void demandOf(route.config?.requireToken)) // a mistake shows at the start
  if (!app.hasRequestDecorator('token')) app.decorateRequest('token')

  const verifier = 'verifier' in options ? options.verifier : await buildVerifier(options)
  app.addHook('onRequest', (request, reply, next) => {
    const demand = demandOf(request.routeOptions.config?.requireToken)
    let connection: Connection | undefined
    const pass = (token: AccessToken) => {
      demandAll(token, demand)
      if (connection !== undefined) connection.counts.accepted[token.binding]++
      request.token = token
      next()
    }
    const stop = (error: unknown) => {
      if (error instanceof OAuthError) refuse(request, reply, error, { ...options, challenge: true })
      else next(error as Error)
    }
    try {
      connection = connectionOf(request.raw)
      const found = present(request, connection, verifier, demand)
      if (found instanceof Promise) found.then(pass).catch(stop).catch(next)
      else pass(found)
    } catch (error) {
      stop(error)
    }
  })
}

/**
 * Fastify plugin: `app.register(requireToken, { issuer, audience, jwks, scope })`. Protects every route in its scope and in nested
 * scopes, including unmatched paths. The server must be one of `mutualTls`; on any other, and for `inject()`, every request is
 * refused. Sets `request.token`. A route's `config.requireToken` takes precedence over `scope`, `binding` and `proof`.
 * @throws TypeError (rejects the registration) for an invalid option.
 */
export const requireToken = fp(plugin, { name: 'tlsbound-require-token', fastify: '5.x' })

interface Demand {
  readonly scope: readonly string[]
  readonly binding: TokenBinding
  readonly perRequest: boolean
}

function present(
  { raw }: FastifyRequest,
  connection: Connection | undefined,
  verifier: TokenVerifier,
  { perRequest }: Demand,
): AccessToken | Promise<AccessToken> {
  refuseSecondToken(raw)
  return verifier.verify(raw, connection, perRequest)
}

function demandAll(token: AccessToken, demand: Demand): void {
  if (!isAtLeast(token.binding, demand.binding))
    throw refusal(token, 'invalid_token', 'binding_too_weak', 'level', {
      found: token.binding,
      expected: demand.binding,
    })
  if (!demand.scope.every(scope => token.scope.includes(scope)))
    throw refusal(token, 'insufficient_scope', 'scope_missing', 'scope', {
      found: token.scope.join(' '),
      expected: demand.scope.join(' '),
    })
}

function refusal({ claims }: AccessToken, code: ErrorCode, ...why: Why): OAuthError {
  const error = new OAuthError(code, ...why)
  error.token = describeToken({ ...claims })
  return error
}

function readDemand({ scope = '', binding = 'certificate', proof }: TokenDemand): Demand {
  if (!isScope(scope)) throw new TypeError('requireToken: scope must be words with single spaces between them')
  if (!tokenBindings.includes(binding))
    throw new TypeError(`requireToken: binding must be ${tokenBindings.join(' or ')}`)
  if (proof !== undefined && proof !== 'per-request')
    throw new TypeError('requireToken: proof must be per-request, or be left out')
  return { scope: readScope(scope), binding, perRequest: proof === 'per-request' }
}

async function buildVerifier({ issuer, audience, jwks }: RequireTokenOptions): Promise<TokenVerifier> {
  if (!issuer || !audience) throw new TypeError('requireToken: issuer and audience are required')
  const readToken = createTokenReader(await findIssuerKeys(jwks))
  return createTokenVerifier({ issuer, audience, readToken, now: () => Date.now() / 1000 })
}
