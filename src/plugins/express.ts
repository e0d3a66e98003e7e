// Middleware for Express and Connect, and so for NestJS on Express.
import '../process/require-node.js'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import type { TokenDemand } from '../verify/demand.ts'
import { toVerifier, type Verifier, type VerifierOptions } from '../verify/verifier.ts'

declare global {
  namespace Express {
    interface Request {
      /** The token of this request, once `requireToken` has verified it. */
      token: AccessToken
    }
  }
}

export type ExpressMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Returns middleware behind which every request must bring a token that is bound to its connection: `app.use(requireToken({ issuer,
 * audience }))`. With a verifier of `createVerifier`, each route can have a demand of its own.
 * @throws TypeError when an option is wrong.
 */
export function requireToken(verifier: Verifier | VerifierOptions, demand?: TokenDemand): ExpressMiddleware {
  const { verify, sendRefusal } = toVerifier(verifier, demand)
  return (request, response, next) => {
    verify(request, demand).then(
      token => {
        Object.assign(request, { token })
        next()
      },
      error => {
        if (error instanceof OAuthError) sendRefusal(response, error)
        else next(error)
      },
    )
  }
}
