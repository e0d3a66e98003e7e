// Fastify plugin that requires a token bound to the connection on every request. It protects every route in its scope and
// in nested scopes, and unmatched paths where its scope answers them. A route may demand more.
import { Readable } from 'node:stream'
import type {
  FastifyContextConfig,
  FastifyInstance,
  FastifyPluginAsync,
  FastifyRequest,
  onSendHookHandler,
  RouteOptions,
} from 'fastify'
import fp from 'fastify-plugin'
import type { AccessToken } from '../core/access-token.ts'
import { anyRule, describeUnknown, type Rules } from '../core/check-options.ts'
import { OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { findSimilarName } from '../core/similar-name.ts'
import { whenReady } from '../core/when-ready.ts'
import { contentRefusalOf, onContentRefused } from '../verify/content-guard.ts'
import { checkDemand, type TokenDemand } from '../verify/demand.ts'
import { buildRefusal } from '../verify/refusal.ts'
import { createTokenCheck, type TokenCheckOptions, type VerifierOptions } from '../verify/token-check.ts'
import type { TokenVerifier } from '../verify/token-verifier.ts'
import { type RefusalListener, type RefusalOptions, refuse } from './refuse.ts'

/** Options of `createVerifier`. `onRefusal` receives Fastify's request; warnings go to the app's log. */
export type RequireTokenOptions = DistributiveOmit<VerifierOptions, 'onRefusal'> & {
  readonly onRefusal?: RefusalListener
}
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** Options of the authorization server itself: a verifier that shares the server's keys and clock. */
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

/** Options that Fastify itself reads of every registration. */
const registrationRules: Rules = { prefix: anyRule, logLevel: anyRule, logSerializers: anyRule }

/** Checks the demand of a route, so that an invalid one fails the registration of the route. @throws TypeError that names the member. */
function checkRoute(config: object = {}): void {
  const names = ['requireToken']
  // Other plugins have members of their own, so that only a similar name is a mistake.
  for (const name of Object.keys(config))
    if (!names.includes(name) && findSimilarName(name, names) !== undefined)
      throw new TypeError(describeUnknown(name, names, 'config.'))
  const { requireToken: demand } = config as { readonly requireToken?: unknown }
  if (demand !== undefined) checkDemand(demand, 'config.requireToken')
}

/**
 * Answers a request whose body differs from its signed digest: the reader of the body, a parser or the handler, fails. The refusal has
 * been reported already.
 */
function refuseWrongContent(options: RefusalOptions, next: RouteErrorHandler): NonNullable<RouteErrorHandler> {
  return function (this: FastifyInstance, error, request, reply) {
    const refusal = contentRefusalOf(request.raw)
    if (refusal instanceof OAuthError) {
      reply.removeHeader('connection') // Fastify closes it, since more of a body may come; this one is complete
      return refuse(request, reply, refusal, { ...options, onRefusal: undefined })
    }
    if (next !== undefined) return next.call(this, error, request, reply)
    throw error // to the error handler of the app
  }
}
type RouteErrorHandler = RouteOptions['errorHandler']

/** Refuses such a request also if its reader answers nevertheless, or if another error handler does. */
function replaceAnswer(options: RefusalOptions): onSendHookHandler<unknown> {
  return (request, reply, payload, done) => {
    const refusal = contentRefusalOf(request.raw)
    if (refusal === undefined) return done(null, payload)
    if (reply.statusCode === 401 && reply.hasHeader('accept-signature')) return done(null, payload) // it is the refusal
    if (!(refusal instanceof OAuthError)) return done(refusal)
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    const { authorization } = request.headers
    const { status, headers, body } = buildRefusal(refusal, { ...options, authorization })
    if (payload instanceof Readable) payload.destroy()
    reply.code(status).headers(headers).type('application/json; charset=utf-8')
    done(null, JSON.stringify(body))
  }
}

const plugin: FastifyPluginAsync<RequireTokenOptions | RequireTokenInternals> = async (app, options) => {
  const onWarning = (message: string) => app.log.warn(message)
  const check = createTokenCheck({ onWarning, ...options } as TokenCheckOptions, registrationRules)
  const { resourceMetadata, onRefusal } = options
  const report: RefusalListener = (request, refused, status) => {
    const result: unknown = onRefusal?.(request, refused, status)
    // The response does not wait for an async listener, but its rejection must end nothing else.
    if (result instanceof Promise) result.catch(error => logError(app.log, error, 'onRefusal rejected'))
  }
  const refusal = { resourceMetadata, challenge: true, onRefusal: report }
  const isSigned = (demand: TokenDemand | undefined) => (demand?.proof ?? options.proof) === 'signed-request'
  // For every route: those that were registered before the plugin pass no onRoute.
  app.addHook('onSend', replaceAnswer(refusal))
  app.addHook('onRoute', route => {
    checkRoute(route.config)
    if (isSigned(route.config?.requireToken)) route.errorHandler = refuseWrongContent(refusal, route.errorHandler)
  })
  const checked = new WeakSet<FastifyContextConfig>()
  const demandOf = (config: FastifyContextConfig): TokenDemand | undefined => {
    if (!checked.has(config)) checkRoute(config)
    checked.add(config)
    return config.requireToken
  }
  if (!app.hasRequestDecorator('token')) app.decorateRequest('token')
  app.addHook('onRequest', (request: FastifyRequest, reply, next) => {
    const config: FastifyContextConfig = request.routeOptions.config ?? {} // none: no route matches
    const pass = (token: AccessToken) => {
      request.token = token
      if (isSigned(config.requireToken)) onContentRefused(request.raw, error => report(request, error, 401), onRefusal)
      next()
    }
    const stop = (error: unknown) => {
      try {
        if (error instanceof OAuthError) refuse(request, reply, error, refusal)
        else next(error as Error)
      } catch (unhandled) {
        next(unhandled as Error)
      }
    }
    void whenReady(() => check(request.raw, demandOf(config)), pass, stop)
  })
}

/**
 * Requires a valid token on every request: `app.register(requireToken, { issuer, audience, jwks, scope })`.
 * The server must come from `mutualTls`, or be a `tls.Server` that requests client certificates. Requests by `inject()`
 * have no connection and are refused.
 * A route's `config.requireToken` replaces members of the demand in the options. Unmatched paths require a token if the plugin is
 * registered at the root of the app, or if its scope has a prefix and calls `setNotFoundHandler`.
 * @throws TypeError (rejects the registration) when an option is invalid.
 */
export const requireToken = fp(plugin, { name: 'tlsbound-require-token', fastify: '5.x' })
