// A token's text → a token that its presenter may use; cheap and local, so that a stolen token costs no trip anywhere.
// Origin, type and claims are verified once on a connection and remembered there; what can change is looked at each time.
import {
  type AccessToken,
  type AccessTokenClaims,
  checkClaims,
  type Expectations,
  readScope,
} from '../core/access-token.ts'
import { type TokenBinding, verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import { readBearerToken } from './bearer.ts'
import { type Connection, requirePresenter } from './connection.ts'
import type { Claims, TokenReader } from './token-reader.ts'

export interface TokenVerifierOptions extends Expectations {
  readonly readToken: TokenReader
  /** Whether a token was revoked. Throws where that cannot be known. Default: none is. */
  readonly isRevoked?: (claims: AccessTokenClaims) => boolean
  /** Seconds since 1970. */
  readonly now: () => number
}

export interface TokenVerifier {
  /**
   * Verifies the token of an Authorization header; at once, but for an opaque one on its first use here.
   * @throws OAuthError (or rejects) saying why it is refused on this connection.
   */
  verify(authorization: string | undefined, connection: Connection | undefined): AccessToken | Promise<AccessToken>
  /** Takes note of a token that this process has just bound to this connection: it needs no verification. */
  remember(token: string, claims: AccessTokenClaims, binding: TokenBinding, connection: Connection): void
}

/** A connection has one client, which needs one token at a time, two while it renews, some more with narrower scopes. */
const maximumRemembered = 8

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { readToken, isRevoked = () => false, now, ...expected } = options

  const verifier: TokenVerifier = {
    verify(authorization, connection) {
      const time = now()
      const remembered = connection?.verified?.get(authorization as string)
      if (remembered?.verifier === verifier) {
        requirePresenter(connection, time, 'invalid_token')
        if (remembered.claims.exp <= time) throw refuse('expired', remembered.claims)
        if (isRevoked(remembered.claims)) throw refuse('revoked', remembered.claims)
        return remembered
      }
      const token = readBearerToken(authorization)
      requirePresenter(connection, time, 'invalid_token')
      const claims = readToken(token)
      const admit = (read: Claims) => verifyClaims(read, authorization as string, connection as Connection)
      return claims instanceof Promise ? claims.then(admit) : admit(claims)
    },
    remember(token, claims, binding, connection) {
      if (claims.aud === expected.audience) keep(`Bearer ${token}`, claims, binding, connection)
    },
  }

  function verifyClaims(claims: Claims, authorization: string, connection: Connection): AccessToken {
    try {
      const time = now()
      checkClaims(claims, expected, time)
      const binding = verifyConfirmation(claims.cnf, requirePresenter(connection, time, 'invalid_token'))
      const known = claims as unknown as AccessTokenClaims
      if (isRevoked(known)) throw refuse('revoked', claims)
      return keep(authorization, known, binding, connection)
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') throw refuse(error.reason, claims)
      throw error
    }
  }

  function keep(
    authorization: string,
    claims: AccessTokenClaims,
    binding: TokenBinding,
    connection: Connection,
  ): AccessToken {
    const verified = Object.freeze({
      claims: Object.freeze({ ...claims, cnf: Object.freeze(claims.cnf) }),
      scope: Object.freeze(readScope(claims.scope)),
      binding,
      verifier,
    })
    connection.verified ??= new Map()
    if (connection.verified.size >= maximumRemembered)
      connection.verified.delete(connection.verified.keys().next().value as string) // the oldest
    connection.verified.set(authorization, verified)
    return verified
  }
  return verifier
}

/** A refusal of a token that is the issuer's own, so that its event can say which. */
function refuse(reason: Reason, { jti, client_id }: Partial<Record<'jti' | 'client_id', unknown>>): OAuthError {
  const refusal = new OAuthError('invalid_token', reason)
  refusal.token = { jti, client_id }
  return refusal
}
