// The verifier for any Node server. The plugins (plugins/) adapt it to frameworks.
import type { AccessToken } from '../core/access-token.ts'
import { isObject } from '../core/check-options.ts'
import { OAuthError } from '../core/errors.ts'
import { whenReady } from '../core/when-ready.ts'
import { onContentRefused } from './content-guard.ts'
import { checkDemand, type TokenDemand } from './demand.ts'
import { buildRefusal, type RefusalAnswer } from './refusal.ts'
import { createTokenCheck, type NodeRequest, type VerifierOptions, warnProcess } from './token-check.ts'
import { type NodeResponse, writeRefusal } from './write-refusal.ts'

export interface Verifier {
  /**
   * Verifies the token of a request: signature, issuer, audience, times and binding. Every token is bound to the client
   * certificate; at the levels connection and proof, it is also bound to the TLS connection. `demand` replaces members of
   * the demand in the options.
   * If the request is signed and its body differs from its digest, its stream fails later with an OAuthError.
   * @throws OAuthError (rejects) with the reason; pass it to `sendRefusal`.
   */
  verify(request: NodeRequest, demand?: TokenDemand): Promise<AccessToken>
  /**
   * Returns the response to a refusal, for servers that write it themselves. @throws `error` itself if it is not an
   * OAuthError.
   */
  describeRefusal(error: unknown, request?: NodeRequest): RefusalAnswer
  /**
   * Sends the response to a refusal. For an upgrade request, `response` is its socket. @throws `error` itself if it is not
   * an OAuthError.
   */
  sendRefusal(response: NodeResponse, error: unknown): void
}

/** Creates a verifier. @throws TypeError that names the invalid option. */
export function createVerifier(options: VerifierOptions): Verifier {
  const check = createTokenCheck(options)
  const { onRefusal, resourceMetadata } = options
  const describeRefusal: Verifier['describeRefusal'] = (error, request) => {
    if (!(error instanceof OAuthError)) throw error
    const authorization = request?.headers.authorization
    return buildRefusal(error, { authorization, resourceMetadata, challenge: true })
  }
  /** The body of a request is refused while it is read, so that no promise of `verify` can reject any more. */
  const reportLate = (request: NodeRequest, refusal: OAuthError) => {
    const result: unknown = onRefusal?.(request, refusal, describeRefusal(refusal, request).status)
    if (result instanceof Promise)
      result.catch((error: Error) => (options.onWarning ?? warnProcess)(`onRefusal rejected: ${error.message}`))
  }
  const accept = (token: AccessToken, request: NodeRequest, demand: TokenDemand | undefined) => {
    if ((demand?.proof ?? options.proof) === 'signed-request')
      onContentRefused(request, refusal => reportLate(request, refusal), onRefusal)
    return token
  }
  const refuse = async (error: unknown, request: NodeRequest): Promise<never> => {
    // Awaited, so that the rejection of an async listener is that of this request and ends nothing else.
    if (error instanceof OAuthError) await onRefusal?.(request, error, describeRefusal(error, request).status)
    throw error
  }
  const verifyNow: VerifyNow = (request, demand) =>
    whenReady<AccessToken, AccessToken | Promise<never>>(
      () => check(request, demand),
      token => accept(token, request, demand),
      error => refuse(error, request),
    )
  const verify: Verifier['verify'] = async (request, demand) => verifyNow(request, demand)
  immediate.set(verify, verifyNow)
  return {
    verify,
    describeRefusal,
    sendRefusal: (response, error) => {
      const request = 'req' in response ? response.req : undefined
      writeRefusal(response, describeRefusal(error, request))
    },
  }
}

/** As `verify`, but returns a promise only if a fetch or a store lookup is needed, and for a refusal. Never throws. */
type VerifyNow = (request: NodeRequest, demand?: TokenDemand) => AccessToken | Promise<AccessToken>

/** By its `verify`, so that a wrapper with a `verify` of its own is called like any other function. */
const immediate = new WeakMap<Verifier['verify'], VerifyNow>()

/** What an adapter needs of a verifier. */
export interface AdapterVerifier extends Pick<Verifier, 'describeRefusal' | 'sendRefusal'> {
  readonly verifyNow: VerifyNow
}

/**
 * Returns what an adapter needs of a verifier, or of a new one with these options. Checks the demand that `verifyNow` is called with.
 * @throws TypeError that names the invalid option.
 */
export function toAdapterVerifier(given: Verifier | VerifierOptions, demand: TokenDemand | undefined): AdapterVerifier {
  if (demand !== undefined) checkDemand(demand, 'demand')
  const verifier = isObject(given) && 'verify' in given ? given : createVerifier(given)
  const { verify, describeRefusal, sendRefusal } = verifier
  // The result of another function is awaited: `instanceof Promise` does not recognize every promise.
  const verifyNow = immediate.get(verify) ?? (async (request, demand) => verify(request, demand))
  return { verifyNow, describeRefusal, sendRefusal }
}
