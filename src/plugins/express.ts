// Middleware for Express and Connect, and so for NestJS on Express.
import '../process/require-node.js'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError } from '../core/errors.ts'
import { answerContentRefusal, isContentGuarded } from '../verify/content-guard.ts'
import type { TokenDemand } from '../verify/demand.ts'
import type { VerifierOptions } from '../verify/token-check.ts'
import { toAdapterVerifier, type Verifier } from '../verify/verifier.ts'

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
  const { verifyNow, sendRefusal } = toAdapterVerifier(verifier, demand)
  const pass: PassOn = (token, request, response, next) => {
    ;(request as TokenCarrier).token = token
    if (isContentGuarded(request))
      answerContentRefusal(request, (refusal, fail) => answerOnce(response, () => sendRefusal(response, refusal), fail))
    next()
  }
  return (request, response, next) => {
    const token = verifyNow(request, demand)
    // A token that was verified on this connection before needs no promise.
    if (!(token instanceof Promise)) return pass(token, request, response, next)
    token.then(
      verified => pass(verified, request, response, next),
      error => {
        if (error instanceof OAuthError) sendRefusal(response, error)
        else next(error)
      },
    )
  }
}
type PassOn = (token: AccessToken, ...given: Parameters<ExpressMiddleware>) => void
type TokenCarrier = { token?: AccessToken }

/**
 * Answers a request that a body parser or handler is dealing with, and calls `fail` when the answer is sent. What they answer afterwards
 * is dropped: a second answer is an exception in Node, and ends the program if it is thrown in a callback.
 */
function answerOnce(response: ServerResponse, send: () => void, fail: () => void): void {
  if (response.headersSent) {
    fail() // the handler streams its response, and fails with the body
    return
  }
  response.once('close', fail)
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  send()
  Object.defineProperties(response, dropped)
}

function ignore(this: ServerResponse): ServerResponse {
  return this
}
const dropped: PropertyDescriptorMap = {
  // Express closes the connection when an error follows an answer.
  headersSent: { value: false },
  write: { value: () => true },
  ...Object.fromEntries(
    [
      ...['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'flushHeaders'],
      ...['writeHead', 'end', 'addTrailers'],
    ].map(name => [name, { value: ignore }]),
  ),
}
