// A token's text → a token that its presenter may use; cheap and local, so that a stolen token costs no trip anywhere.
// Origin, type and claims are verified once on a connection and remembered there; what can change is looked at each time.
import {
  type AccessToken,
  type AccessTokenClaims,
  checkClaims,
  type Expectations,
  isTime,
  parseScope,
} from '../core/access-token.ts'
import { type TokenBinding, verifyConfirmation } from '../core/confirmation.ts'
import type { DetailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import type { Presenter } from '../core/presenter.ts'
import { type Connection, requirePresenter, type VerifiedToken } from '../tls/connection.ts'
import { readBearerToken } from './bearer.ts'
import { isProven, type Presentation, requireProof } from './proofs.ts'
import { createTokenRecognizer, describeToken } from './token-facts.ts'
import type { Claims, TokenReader } from './token-reader.ts'

export interface TokenVerifierOptions extends Expectations {
  readonly readToken: TokenReader
  /** What is expected of a token with these claims, where several issuers are accepted. Default: the same of all. */
  readonly expectationsOf?: ((claims: Claims) => Expectations) | undefined
  /** Schemes of the Authorization header that are accepted beside Bearer, in lower case. */
  readonly schemes?: readonly string[] | undefined
  /** Why a token is refused before it expires, if it is. Throws where that cannot be known. Default: no token is. */
  readonly findRevocation?: (claims: AccessTokenClaims) => DetailOf<'revoked'> | undefined
  /** Changes when a key is gone that verified tokens before. Default: it never does. */
  readonly keyGeneration?: () => number
  /** Seconds since 1970; with its fraction, so that a token whose `exp` has one ends then and not later. */
  readonly now: () => number
}

export interface TokenVerifier {
  /**
   * Verifies the token of a request; at once, unless something has to be fetched for its first use here. `perRequest`: it
   * must come with a proof that was made for this request alone.
   * @throws OAuthError (or rejects) saying why it is refused on this connection.
   */
  verify(
    request: Presentation,
    connection: Connection | undefined,
    perRequest?: boolean,
  ): AccessToken | Promise<AccessToken>
  /** Takes note of a token that this process has just bound to this connection: it needs no verification. */
  remember(token: string, claims: AccessTokenClaims, binding: TokenBinding, connection: Connection): void
}

/** A connection has one client, which may act for many users, each with a token of theirs. */
export const maximumRemembered = 64

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { readToken, findRevocation = () => undefined, keyGeneration = () => 0, now, schemes } = options
  const expectationsOf = options.expectationsOf ?? (() => options)
  const audiences = [options.audience].flat()
  const isRevoked = (claims: AccessTokenClaims) => findRevocation(claims) !== undefined
  const attachTokenFacts = createTokenRecognizer({ readToken, isRevoked, now })

  const verifier: TokenVerifier = {
    verify(request, connection, perRequest = false) {
      const { authorization } = request.headers
      const remembered = connection?.verified?.get(authorization as string)
      const isKnown = remembered?.token.verifier === verifier
      if (isKnown && remembered.generation === keyGeneration())
        return naming(remembered.token.claims, () =>
          verifyAgain(remembered, request, connection as Connection, perRequest),
        )
      const token = readBearerToken(authorization, schemes)
      const refusal = refusePresenter(token, connection)
      if (refusal !== undefined) return refusal
      if (isKnown) connection?.verified?.delete(authorization as string)
      const claims = isKnown ? readAgain(remembered, token) : readToken(token)
      const admit = (read: Claims) =>
        naming(read, () => verifyClaims(read, token, request, connection as Connection, perRequest))
      return claims instanceof Promise ? claims.then(admit) : admit(claims)
    },
    remember(token, claims, binding, connection) {
      if (audiences.includes(claims.aud)) keep(`Bearer ${token}`, claims, binding, connection)
    },
  }

  /**
   * A presenter that may not act is refused before anything is verified; all the same the event names a token of this issuer.
   * @throws OAuthError (or rejects) `no_certificate` or `certificate_…`; undefined when the presenter may act.
   */
  function refusePresenter(token: string, connection: Connection | undefined): Promise<never> | undefined {
    try {
      requireActing(connection, now())
      return undefined
    } catch (error) {
      const recognised = attachTokenFacts(token, error as OAuthError)
      if (recognised === undefined) throw error
      return recognised.then(() => Promise.reject(error))
    }
  }

  /** Reads a token that was verified on this connection, after a key has gone since: it may be its own. */
  function readAgain({ token: { claims } }: VerifiedToken, token: string): ReturnType<TokenReader> {
    const explain = (error: unknown): never => {
      if (!(error instanceof OAuthError) || error.reason !== 'bad_signature') throw error
      const refusal = new OAuthError('invalid_token', 'revoked', 'key_removed', { kid: error.facts.kid })
      refusal.token = describeToken({ ...claims })
      throw refusal
    }
    try {
      const read = readToken(token)
      return read instanceof Promise ? read.catch(explain) : read
    } catch (error) {
      return explain(error)
    }
  }

  /** What can have changed since this token was verified on this connection. */
  function verifyAgain(
    remembered: VerifiedToken,
    request: Presentation,
    connection: Connection,
    perRequest: boolean,
  ): AccessToken {
    const { token } = remembered
    const time = now()
    requireActing(connection, time)
    if (token.claims.exp <= time)
      throw new OAuthError('invalid_token', 'expired', 'ended', { found: token.claims.exp, time })
    requireUnrevoked(token.claims)
    if (perRequest || (token.binding === 'proof' && !isProven(request, remembered))) {
      const text = readBearerToken(request.headers.authorization, schemes)
      remembered.proof = requireProof(request, text, connection, time, perRequest) ?? remembered.proof
    }
    return token
  }

  function verifyClaims(
    claims: Claims,
    token: string,
    request: Presentation,
    connection: Connection,
    perRequest: boolean,
  ): AccessToken {
    const time = now()
    checkClaims(claims, expectationsOf(claims), time)
    const known = claims as unknown as AccessTokenClaims
    // Before anybody looks whose it is: one that is dead already is no alarm in wrong hands, and takes nothing from its owner.
    requireUnrevoked(known)
    let proof: string | undefined
    const prove = () => {
      proof = requireProof(request, token, connection, time, perRequest)
    }
    const binding = verifyConfirmation(claims.cnf, requireActing(connection, time), prove)
    if (perRequest && binding !== 'proof') prove()
    return keep(request.headers.authorization as string, known, binding, connection, proof)
  }

  function requireUnrevoked(claims: AccessTokenClaims): void {
    const revocation = findRevocation(claims)
    if (revocation !== undefined) throw new OAuthError('invalid_token', 'revoked', revocation)
  }

  /** A refusal within `check` is one of a token that is the issuer's own, so that its event says which. */
  function naming<T>(claims: Claims | AccessTokenClaims, check: () => T): T {
    try {
      return check()
    } catch (error) {
      if (error instanceof OAuthError && (error.reason !== 'wrong_audience' || isAlive(claims)))
        error.token ??= describeToken({ ...claims })
      throw error
    }
  }

  /** Asked where a refusal comes before the checks for that: a token that is dead already is no alarm in wrong hands. */
  function isAlive(claims: Claims | AccessTokenClaims): boolean {
    try {
      return isTime(claims.exp) && claims.exp > now() && !isRevoked(claims as AccessTokenClaims)
    } catch {
      return false // it cannot be known
    }
  }

  function keep(
    authorization: string,
    claims: AccessTokenClaims,
    binding: TokenBinding,
    connection: Connection,
    proof?: string,
  ): AccessToken {
    const token = Object.freeze({
      claims: Object.freeze({ ...claims, cnf: Object.freeze(claims.cnf) }),
      scope: Object.freeze(parseScope(claims.scope)),
      binding,
      verifier,
    })
    connection.verified ??= new Map()
    if (connection.verified.size >= maximumRemembered)
      connection.verified.delete(connection.verified.keys().next().value as string) // the oldest
    connection.verified.set(authorization, { token, generation: keyGeneration(), proof })
    return token
  }
  return verifier
}

/** Certificates are valid for whole seconds, the last one included (RFC 5280 §4.1.2.5). */
function requireActing(connection: Connection | undefined, time: number): Presenter {
  return requirePresenter(connection, Math.floor(time), 'invalid_token')
}
