// A token's text → a token that its presenter may use; cheap and local, so that a stolen token costs no trip anywhere.
// Signature, type and claims are verified once on a connection and remembered there; what can change is looked at each time.
import {
  type AccessToken,
  type AccessTokenClaims,
  checkClaims,
  type Expectations,
  readScope,
} from '../core/access-token.ts'
import { readTokenHeader } from '../core/compact-jws.ts'
import { type TokenBinding, verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError } from '../core/errors.ts'
import { type Connection, requirePresenter } from './connection.ts'
import type { VerificationKey } from './token-keys.ts'

export interface TokenVerifierOptions extends Expectations {
  /** Looks up a key by its id; only what was loaded before is found (RFC 8725 §3.10). */
  readonly findKey: (kid: string) => VerificationKey | undefined
  /** Seconds since 1970. */
  readonly now: () => number
}

export interface TokenVerifier {
  /** @throws OAuthError saying why the token is refused on this connection. */
  verify(token: string, connection: Connection | undefined): AccessToken
  /** Takes note of a token that this process has just signed for this connection, which saves the first verification. */
  remember(token: string, claims: AccessTokenClaims, connection: Connection): void
}

/** One client needs one token at a time on a connection, and two while it renews; a gateway may need some more. */
const maximumRemembered = 32

export function createTokenVerifier({ findKey, now, ...expected }: TokenVerifierOptions): TokenVerifier {
  const verifier: TokenVerifier = {
    verify(token, connection) {
      const time = now()
      const presenter = requirePresenter(connection, time, 'invalid_token')
      const remembered = connection?.verified?.get(token)
      if (remembered?.verifier === verifier) {
        if (remembered.claims.exp <= time) throw new OAuthError('invalid_token', 'expired')
        return remembered
      }
      const claims = verifySignature(token, findKey)
      try {
        checkClaims(claims, expected, time)
        const binding = verifyConfirmation(claims.cnf, presenter)
        return keep(token, claims as unknown as AccessTokenClaims, binding, connection as Connection)
      } catch (error) {
        if (error instanceof OAuthError) error.token = { jti: claims.jti, client_id: claims.client_id }
        throw error
      }
    },
    remember(token, claims, connection) {
      if (claims.aud !== expected.audience) return
      keep(
        token,
        claims,
        verifyConfirmation(claims.cnf, requirePresenter(connection, now(), 'invalid_token')),
        connection,
      )
    },
  }

  function keep(token: string, claims: AccessTokenClaims, binding: TokenBinding, connection: Connection): AccessToken {
    const verified = Object.freeze({
      claims: Object.freeze(claims),
      scope: new Set(readScope(claims.scope)),
      binding,
      verifier,
    })
    connection.verified ??= new Map()
    if (connection.verified.size >= maximumRemembered)
      connection.verified.delete(connection.verified.keys().next().value as string) // the oldest
    connection.verified.set(token, verified)
    return verified
  }
  return verifier
}

function verifySignature(token: string, findKey: TokenVerifierOptions['findKey']): Record<string, unknown> {
  const { alg, kid } = readTokenHeader(token)
  const signingKey = findKey(kid)
  const claims = signingKey?.algorithm === alg ? signingKey.verify(token) : undefined
  if (claims === undefined) throw new OAuthError('invalid_token', 'bad_signature')
  return claims
}
