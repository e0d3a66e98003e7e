// Middleware for Koa.
import '../process/require-node.js'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { endConnection } from '../tls/connection.ts'
import { contentRefusalOf, isContentGuarded } from '../verify/content-guard.ts'
import type { TokenDemand } from '../verify/demand.ts'
import type { VerifierOptions } from '../verify/token-check.ts'
import { toAdapterVerifier, type Verifier } from '../verify/verifier.ts'

/** Type of the app's state: `new Koa<TokenState>()`, so that `ctx.state.token` is an AccessToken. */
export interface TokenState {
  token: AccessToken
}

/** What the middleware needs of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly state: Partial<TokenState>
  /** The request target before other middleware changed `req.url`. */
  readonly originalUrl?: string
  status: number
  body: unknown
  /** Sets header fields of the response. */
  set(headers: Record<string, string>): void
}

export type KoaMiddleware = (context: KoaContext, next: () => Promise<unknown>) => Promise<void>

/**
 * Returns middleware behind which every request must bring a token that is bound to its connection: `app.use(requireToken({ issuer,
 * audience }))`. The token is `ctx.state.token`.
 * @throws TypeError when an option is wrong.
 */
export function requireToken(verifier: Verifier | VerifierOptions, demand?: TokenDemand): KoaMiddleware {
  const { verifyNow, describeRefusal } = toAdapterVerifier(verifier, demand)
  const refuse = (context: KoaContext, error: unknown) => {
    if (!(error instanceof OAuthError)) throw error
    const { status, headers, body, endsConnection } = describeRefusal(error, context.req)
    if (endsConnection) endConnection(context.req, context.res)
    context.status = status
    context.set({ ...headers })
    context.body = body
  }
  const passGuarded: KoaMiddleware = async (context, next) => {
    const { req } = context
    try {
      await next()
    } catch (error) {
      if (contentRefusalOf(req) === undefined) throw error
    }
    // Also if the handler has dealt with the failure of the body.
    const refusal = contentRefusalOf(req)
    if (refusal !== undefined) refuse(context, refusal)
  }
  const pass = (token: AccessToken, context: KoaContext, next: () => Promise<unknown>) => {
    context.state.token = token
    return isContentGuarded(context.req) ? passGuarded(context, next) : (next() as Promise<void>)
  }
  return (context, next) => {
    const { req, originalUrl } = context
    // Middleware that mounts an app has changed `url`; this is the name of Connect for what the client sent and signed. An app of
    // Express that mounts this one has set it.
    if (originalUrl !== undefined && originalUrl !== req.url)
      (req as { originalUrl?: string }).originalUrl ??= originalUrl
    const token = verifyNow(req, demand)
    // A token that was verified on this connection before needs no promise.
    if (!(token instanceof Promise)) return pass(token, context, next)
    return token.then(
      verified => pass(verified, context, next),
      error => refuse(context, error),
    )
  }
}
