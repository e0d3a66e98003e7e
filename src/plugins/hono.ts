// Middleware for Hono on Node (@hono/node-server).
import '../process/require-node.js'

import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { endConnection } from '../tls/connection.ts'
import { contentRefusalOf } from '../verify/content-guard.ts'
import type { TokenDemand } from '../verify/demand.ts'
import { type NodeRequest, toVerifier, type Verifier, type VerifierOptions } from '../verify/verifier.ts'

/** Types of the app: `new Hono<TokenEnv>()`, so that `c.get('token')` is an AccessToken. */
export interface TokenEnv {
  Bindings: { incoming: NodeRequest; outgoing: ServerResponse | Http2ServerResponse }
  Variables: { token: AccessToken }
}

/** What the middleware needs of Hono's context. */
export interface HonoContext {
  readonly env: TokenEnv['Bindings']
  /** The response; assigned to when the body of a signed request turns out to differ. */
  res: Response | undefined
  /** Stores the token for `c.get('token')`. */
  set(name: 'token', token: AccessToken): void
}

export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

/**
 * Returns middleware behind which every request must bring a token that is bound to its connection: `app.use(requireToken({ issuer,
 * audience }))`. The token is `c.get('token')`.
 * @throws TypeError when an option is wrong.
 */
export function requireToken(verifier: Verifier | VerifierOptions, demand?: TokenDemand): HonoMiddleware {
  const { verify, describeRefusal } = toVerifier(verifier, demand)
  return async (context, next) => {
    const { incoming, outgoing } = context.env
    const refuse = (error: unknown) => {
      if (!(error instanceof OAuthError)) throw error
      const { status, headers, body, endsConnection } = describeRefusal(error, incoming)
      if (endsConnection) endConnection(incoming, outgoing)
      return Response.json(body, { status, headers })
    }
    try {
      context.set('token', await verify(incoming, demand))
    } catch (error) {
      return refuse(error)
    }
    await next() // which answers an exception of the handler itself
    const refusal = contentRefusalOf(incoming)
    if (refusal !== undefined) {
      context.res = undefined // otherwise Hono would add the fields of that response
      context.res = refuse(refusal)
    }
    return undefined
  }
}
