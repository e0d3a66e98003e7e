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
import { OAuthError, type Reason } from '../core/errors.ts'
import { readBearerToken } from './bearer.ts'
import { type Connection, requirePresenter } from './connection.ts'
import type { VerificationKey } from './token-keys.ts'

export interface TokenVerifierOptions extends Expectations {
  /** Looks up a key by its id; only what was loaded before is found (RFC 8725 §3.10). */
  readonly findKey: (kid: string) => VerificationKey | undefined
  /** Seconds since 1970. */
  readonly now: () => number
}

export interface TokenVerifier {
  /** Verifies the token of an Authorization header. @throws OAuthError saying why it is refused on this connection. */
  verify(authorization: string | undefined, connection: Connection | undefined): AccessToken
  /** Takes note of a token that this process has just bound to this connection and signed: it needs no verification. */
  remember(token: string, claims: AccessTokenClaims, binding: TokenBinding, connection: Connection): void
}

/** A connection has one client, which needs one token at a time, two while it renews, some more with narrower scopes. */
const maximumRemembered = 8

export function createTokenVerifier({ findKey, now, ...expected }: TokenVerifierOptions): TokenVerifier {
  const verifier: TokenVerifier = {
    verify(authorization, connection) {
      const time = now()
      const remembered = connection?.verified?.get(authorization as string)
      if (remembered?.verifier === verifier) {
        requirePresenter(connection, time, 'invalid_token')
        if (remembered.claims.exp <= time) throw refuse('expired', remembered.claims)
        return remembered
      }
      const token = readBearerToken(authorization)
      const presenter = requirePresenter(connection, time, 'invalid_token')
      const claims = verifySignature(token, findKey)
      try {
        checkClaims(claims, expected, time)
        const binding = verifyConfirmation(claims.cnf, presenter)
        return keep(authorization as string, claims as unknown as AccessTokenClaims, binding, connection as Connection)
      } catch (error) {
        throw error instanceof OAuthError ? refuse(error.reason, claims) : error
      }
    },
    remember(token, claims, binding, connection) {
      if (claims.aud === expected.audience) keep(`Bearer ${token}`, claims, binding, connection)
    },
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

function verifySignature(token: string, findKey: TokenVerifierOptions['findKey']): Record<string, unknown> {
  const { alg, kid } = readTokenHeader(token)
  const signingKey = findKey(kid)
  const claims = signingKey?.algorithm === alg ? signingKey.verify(token) : undefined
  if (claims === undefined) throw new OAuthError('invalid_token', 'bad_signature')
  return claims
}
