// Middleware for Hono on Node (@hono/node-server).
import '../process/require-node.js'

import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { endConnection } from '../tls/connection.ts'
import { contentRefusalOf } from '../verify/content-guard.ts'
import type { TokenDemand } from '../verify/demand.ts'
import type { NodeRequest, VerifierOptions } from '../verify/token-check.ts'
import { toAdapterVerifier, type Verifier } from '../verify/verifier.ts'

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

type PassOn = (token: AccessToken, ...given: Parameters<HonoMiddleware>) => ReturnType<HonoMiddleware>
export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

/**
 * Returns middleware behind which every request must bring a token that is bound to its connection: `app.use(requireToken({ issuer,
 * audience }))`. The token is `c.get('token')`.
 * @throws TypeError when an option is wrong.
 */
export function requireToken(verifier: Verifier | VerifierOptions, demand?: TokenDemand): HonoMiddleware {
  const { verifyNow, describeRefusal } = toAdapterVerifier(verifier, demand)
  const refuse = ({ env: { incoming, outgoing } }: HonoContext, error: unknown): Response => {
    if (!(error instanceof OAuthError)) throw error
    const { status, headers, body, endsConnection } = describeRefusal(error, incoming)
    if (endsConnection) endConnection(incoming, outgoing)
    return Response.json(body, { status, headers })
  }
  const pass: PassOn = async (token, context, next) => {
    context.set('token', token)
    await next() // which answers an exception of the handler itself
    const refusal = contentRefusalOf(context.env.incoming)
    if (refusal !== undefined) {
      context.res = undefined // otherwise Hono would add the fields of that response
      context.res = refuse(context, refusal)
    }
    return undefined
  }
  return (context, next) => {
    const token = verifyNow(context.env.incoming, demand)
    // A token that was verified on this connection before needs no promise.
    if (!(token instanceof Promise)) return pass(token, context, next)
    return token.then(
      verified => pass(verified, context, next),
      error => refuse(context, error),
    )
  }
}
