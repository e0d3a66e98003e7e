// The Fastify plugin behind which every request must bring a token that is bound to its connection. It protects every route in
// its scope and in nested scopes, including unmatched paths; a route may demand more.
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { createDemands, type TokenDemand } from '../verify/demand.ts'
import type { TokenVerifier } from '../verify/token-verifier.ts'
import { createTokenCheck, type VerifierOptions } from '../verify/verifier.ts'
import { type RefusalListener, refuse } from './refuse.ts'

/** The options of `createVerifier`; `onRefusal` receives Fastify's request, and warnings go to the log of the app. */
export type RequireTokenOptions = DistributiveOmit<VerifierOptions, 'onRefusal'> & {
  readonly onRefusal?: RefusalListener
}
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** How the authorization server registers it: with a verifier that shares its keys and its clock. */
export type RequireTokenInternals = TokenDemand & {
  readonly verifier: TokenVerifier
  readonly resourceMetadata?: string | undefined
  readonly onRefusal?: RefusalListener | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The token of this request, once `requireToken` has verified it. */
    token: AccessToken
  }
  interface FastifyContextConfig {
    requireToken?: TokenDemand
  }
}

const plugin: FastifyPluginAsync<RequireTokenOptions | RequireTokenInternals> = async (app, options) => {
  const { onRefusal, ...rest } = options
  const refusal = { resourceMetadata: options.resourceMetadata, challenge: true, onRefusal }
  const check = createTokenCheck({ onWarning: message => app.log.warn(message), ...rest } as VerifierOptions)
  const parse = createDemands(options)
  app.addHook('onRoute', route => void parse(route.config?.requireToken)) // a mistake shows at the start
  if (!app.hasRequestDecorator('token')) app.decorateRequest('token')
  app.addHook('onRequest', (request: FastifyRequest, reply, next) => {
    const pass = (token: AccessToken) => {
      request.token = token
      next()
    }
    const stop = (error: unknown) => {
      if (error instanceof OAuthError) refuse(request, reply, error, refusal)
      else next(error as Error)
    }
    try {
      const found = check(request.raw, request.routeOptions.config?.requireToken)
      if (found instanceof Promise) found.then(pass).catch(stop).catch(next)
      else pass(found)
    } catch (error) {
      stop(error)
    }
  })
}

/**
 * Fastify plugin: `app.register(requireToken, { issuer, audience, jwks, scope })`. The server must be one of `mutualTls`, or a
 * `tls.Server` that requests client certificates; `inject()` has no connection, so that every request of it is refused. A
 * route's `config.requireToken` replaces members of the demand in the options.
 * @throws TypeError (rejects the registration) when an option is wrong.
 */
export const requireToken = fp(plugin, { name: 'tlsbound-require-token', fastify: '5.x' })
