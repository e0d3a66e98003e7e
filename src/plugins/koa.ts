// Middleware for Koa.
import '../process/require-node.js'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { endConnection } from '../tls/connection.ts'
import type { TokenDemand } from '../verify/demand.ts'
import { toVerifier, type Verifier, type VerifierOptions } from '../verify/verifier.ts'

/** Type of the app's state: `new Koa<TokenState>()`, so that `ctx.state.token` is an AccessToken. */
export interface TokenState {
  token: AccessToken
}

/** What the middleware needs of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly state: Partial<TokenState>
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
  const { verify, describeRefusal } = toVerifier(verifier, demand)
  return async (context, next) => {
    try {
      context.state.token = await verify(context.req, demand)
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      const { status, headers, body, endsConnection } = describeRefusal(error, context.req)
      if (endsConnection) endConnection(context.req, context.res)
      context.status = status
      context.set({ ...headers })
      context.body = body
      return
    }
    await next()
  }
}
