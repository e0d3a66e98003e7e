// Verifies that the presenter may use a token, without network access in the usual case. Origin, type and claims are
// verified once per connection and remembered. What can change is checked on every request.
import type { IncomingMessage } from 'node:http'
import {
  type AccessToken,
  type AccessTokenClaims,
  checkClaims,
  type Expectations,
  isTime,
  parseScope,
} from '../core/access-token.ts'
import { type TokenBinding, verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError, type WhyRevoked } from '../core/errors.ts'
import type { Presenter } from '../core/presenter.ts'
import { whenReady } from '../core/when-ready.ts'
import { type Connection, requirePresenter } from '../tls/connection.ts'
import { type VerifiedToken, VerifiedTokens } from '../tls/verified-tokens.ts'
import { readBearerToken } from './bearer.ts'
import type { RequestProof } from './demand.ts'
import { isProven, type Presentation, requireProof } from './proofs.ts'
import { requireSignature } from './signed-requests.ts'
import { createTokenRecognizer, describeToken } from './token-facts.ts'
import type { Claims, TokenReader } from './token-reader.ts'

export interface TokenVerifierOptions extends Expectations {
  readonly readToken: TokenReader
  /** Returns the expectations for a token with these claims, for several issuers. Default: the same for all tokens. */
  readonly expectationsOf?: ((claims: Claims) => Expectations) | undefined
  /** Authorization schemes accepted besides Bearer, in lower case. */
  readonly schemes?: readonly string[] | undefined
  /** Returns why a token is revoked. Throws when the state is unknown. Default: no token is revoked. */
  readonly findRevocation?: (claims: AccessTokenClaims) => WhyRevoked | undefined
  /** Changes when a key that verified tokens is removed. Default: never. */
  readonly keyGeneration?: () => number
  /** Seconds since 1970, with fraction, so that a token with a fractional `exp` expires exactly then. */
  readonly now: () => number
}

export interface TokenVerifier {
  /**
   * Verifies the token of a request. Returns a promise only if the first use here needs a fetch or a store lookup.
   * `proof`: the request must carry a proof or signature that was made for it alone.
   * @throws OAuthError (or rejects) with the reason.
   */
  verify(
    request: Presentation,
    connection: Connection | undefined,
    proof?: RequestProof,
  ): AccessToken | Promise<AccessToken>
  /**
   * Verifies what can have changed since a token was verified on this connection, for a request that goes on, such as a
   * WebSocket. Its proof is not verified again. Returns a promise only if the issuer's keys have changed, and never if `mayWait` is
   * false: then it verifies what is known at once.
   * @throws OAuthError (or rejects) with the reason.
   */
  recheck(request: Presentation, token: AccessToken, connection: Connection, mayWait?: boolean): void | Promise<void>
  /** Remembers a token that this process has just bound to this connection, so that it needs no verification. */
  remember(token: string, claims: AccessTokenClaims, binding: TokenBinding, connection: Connection): void
}

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { readToken, findRevocation = () => undefined, keyGeneration = () => 0, now, schemes } = options
  const expectationsOf = options.expectationsOf ?? (() => options)
  const audiences = [options.audience].flat()
  const isRevoked = (claims: AccessTokenClaims) => findRevocation(claims) !== undefined
  const attachTokenFacts = createTokenRecognizer({ readToken, isRevoked, now })

  const verifier: TokenVerifier = {
    verify(request, connection, demanded) {
      const { authorization } = request.headers
      const remembered = connection?.verified?.get(authorization)
      const isKnown = remembered?.token.verifier === verifier
      if (isKnown && remembered.generation === keyGeneration())
        return withTokenFacts(remembered.token.claims, () =>
          verifyAgain(remembered, request, connection as Connection, demanded),
        )
      const token = readBearerToken(authorization, schemes)
      const refusal = refusePresenter(token, request, connection)
      if (refusal !== undefined) return refusal
      if (isKnown) connection?.verified?.delete(authorization as string)
      return whenReady(
        () => (isKnown ? readAgain(remembered.token, token) : readToken(token)),
        claims =>
          withTokenFacts(claims, () => verifyClaims(claims, token, request, connection as Connection, demanded)),
      )
    },
    recheck(request, token, connection, mayWait = true) {
      withTokenFacts(token.claims, () => requireStillValid(token, connection, request))
      if (!mayWait) return undefined
      const { authorization } = request.headers
      if (connection.verified?.get(authorization)?.generation === keyGeneration()) return undefined
      return whenReady(
        () => readAgain(token, readBearerToken(authorization, schemes)),
        () => {},
      )
    },
    remember(token, claims, binding, connection) {
      if (audiences.includes(claims.aud)) store(`Bearer ${token}`, claims, binding, connection)
    },
  }

  /**
   * Refuses a presenter that may not act before the token is verified. The event still names a token of this issuer.
   * Returns undefined if the presenter may act.
   * @throws OAuthError (or rejects) `no_certificate` or `certificate_…`.
   */
  function refusePresenter(
    token: string,
    request: Presentation,
    connection: Connection | undefined,
  ): Promise<never> | undefined {
    try {
      requireActing(connection, now(), request)
      return undefined
    } catch (error) {
      const recognised = attachTokenFacts(token, error as OAuthError)
      if (recognised === undefined) throw error
      return recognised.then(() => Promise.reject(error))
    }
  }

  /** Reads a remembered token again after a key was removed, since that key may have signed it. */
  function readAgain({ claims }: AccessToken, token: string): ReturnType<TokenReader> {
    const explain = (error: unknown): never => {
      if (!(error instanceof OAuthError) || error.reason !== 'bad_signature') throw error
      const refusal = new OAuthError('invalid_token', 'revoked', 'key_removed', { kid: error.facts.kid })
      refusal.token = describeToken({ ...claims })
      throw refusal
    }
    return whenReady(
      () => readToken(token),
      read => read,
      explain,
    )
  }

  /** Verifies what can have changed since this token was verified on this connection. */
  function verifyAgain(
    remembered: VerifiedToken,
    request: Presentation,
    connection: Connection,
    demanded: RequestProof | undefined,
  ): AccessToken {
    const { token } = remembered
    const time = requireStillValid(token, connection, request)
    const perRequest = demanded === 'per-request'
    if (perRequest || (token.binding === 'proof' && !isProven(request, remembered))) {
      const text = readBearerToken(request.headers.authorization, schemes)
      remembered.proof = requireProof(request, text, connection, time, perRequest) ?? remembered.proof
    }
    if (demanded === 'signed-request') requireSignature(request as IncomingMessage, connection, time)
    return token
  }

  /** Returns the time of the check. */
  function requireStillValid({ claims }: AccessToken, connection: Connection, request: Presentation): number {
    const time = now()
    requireActing(connection, time, request)
    if (claims.exp <= time) throw new OAuthError('invalid_token', 'expired', 'ended', { found: claims.exp, now: time })
    requireUnrevoked(claims)
    return time
  }

  function verifyClaims(
    claims: Claims,
    token: string,
    request: Presentation,
    connection: Connection,
    demanded: RequestProof | undefined,
  ): AccessToken {
    const time = now()
    checkClaims(claims, expectationsOf(claims), time)
    const known = claims as unknown as AccessTokenClaims
    // Before the confirmation: a revoked token must raise no alarm and cost its owner nothing when another party
    // presents it.
    requireUnrevoked(known)
    const perRequest = demanded === 'per-request'
    let proof: string | undefined
    const prove = () => {
      proof = requireProof(request, token, connection, time, perRequest)
    }
    const binding = verifyConfirmation(claims.cnf, requireActing(connection, time, request), prove)
    if (perRequest && binding !== 'proof') prove()
    if (demanded === 'signed-request') requireSignature(request as IncomingMessage, connection, time)
    return store(request.headers.authorization as string, known, binding, connection, proof)
  }

  function requireUnrevoked(claims: AccessTokenClaims): void {
    const revocation = findRevocation(claims)
    if (revocation !== undefined) throw new OAuthError('invalid_token', 'revoked', ...revocation)
  }

  /** Adds the facts of a token of this issuer to a refusal by `check`, for its event. */
  function withTokenFacts<T>(claims: Claims | AccessTokenClaims, check: () => T): T {
    try {
      return check()
    } catch (error) {
      if (error instanceof OAuthError && (error.reason !== 'wrong_audience' || isAlive(claims)))
        error.token ??= describeToken({ ...claims })
      throw error
    }
  }

  /** Checks whether a token is valid by time and revocation. An expired or revoked token raises no alarm. */
  function isAlive(claims: Claims | AccessTokenClaims): boolean {
    try {
      return isTime(claims.exp) && claims.exp > now() && !isRevoked(claims as AccessTokenClaims)
    } catch {
      return false // the state is unknown
    }
  }

  function store(
    authorization: string,
    claims: AccessTokenClaims,
    binding: TokenBinding,
    connection: Connection,
    proof?: string,
  ): AccessToken {
    const attested = connection.presenter?.attested
    const token = Object.freeze({
      claims: Object.freeze({ ...claims, cnf: Object.freeze(claims.cnf) }),
      scope: Object.freeze(parseScope(claims.scope)),
      binding,
      ...(attested !== undefined && { attested }),
      verifier,
    })
    connection.verified ??= new VerifiedTokens()
    connection.verified.add({ authorization, token, generation: keyGeneration(), proof })
    return token
  }
  return verifier
}

/** Returns the presenter if its certificate is valid, in whole seconds including the last one (RFC 5280 §4.1.2.5). */
function requireActing(connection: Connection | undefined, time: number, request: Presentation): Presenter {
  return requirePresenter(connection, Math.floor(time), 'invalid_token', request)
}
