// Reads a token and returns its claims: by signature for a JWT and a PASETO, or from the store for an opaque token. It does not verify time,
// audience or binding; token-verifier.ts and routes/introspect.ts do.
import { hasLowS, parseTokenHeader } from '../core/compact-jws.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../core/opaque-token.ts'
import { isPaseto, parsePaseto, pasetoVersion } from '../core/paseto.ts'
import { whenReady } from '../core/when-ready.ts'
import type { VerificationKey } from '../keys/token-keys.ts'

export type Claims = Readonly<Record<string, unknown>>

/** Reads a token. @throws OAuthError (rejects) `bad_signature` or `wrong_type`; `store_unavailable`, `issuer_unavailable`. */
export type TokenReader = (token: string) => Claims | Promise<Claims>

/** Finds a key of the issuer by its id. Keys that a token contains or points to are never used (RFC 8725 §3.10). */
export type FindKey = (kid: string) => VerificationKey | undefined | Promise<VerificationKey | undefined>

/**
 * Creates a token reader. `findOpaque` returns the claims stored under the hash of an opaque token; without it, opaque
 * tokens are refused. `issuer`: the one that a PASETO must be signed for; default: an empty name, so that none verifies.
 */
export function createTokenReader(
  findKey: FindKey,
  findOpaque?: (hash: string) => Promise<Claims | undefined>,
  issuer = '',
): TokenReader {
  return token => {
    // The checksum rejects random text before a store lookup.
    if (findOpaque !== undefined && isOpaqueToken(token) === 'at')
      return findOpaque(hashOpaqueToken(token)).then(claims => claims ?? refuse('not_stored'))
    if (isPaseto(token)) return readPaseto(token)
    const { alg, kid } = parseTokenHeader(token)
    const verify = (key: VerificationKey | undefined) =>
      requireKey(key, kid, alg).verify(token) ??
      refuse(isHighS(token, alg) ? 'high_s' : 'wrong_signature', { kid, alg })
    return whenReady(() => findKey(kid), verify)
  }

  function readPaseto(token: string): ReturnType<TokenReader> {
    const [parts, alg] = [parsePaseto(token), pasetoVersion]
    const { kid } = parts
    const verify = (key: VerificationKey | undefined) =>
      requireKey(key, kid, alg).verifyPaseto(parts, issuer) ?? refuse('wrong_signature', { kid, alg })
    return whenReady(() => findKey(kid), verify)
  }
}

/** Returns the key of a token if it is for the algorithm that the token names. */
function requireKey(key: VerificationKey | undefined, kid: string, alg: string): VerificationKey {
  if (key === undefined) return refuse('unknown_key', { kid, alg })
  return key.algorithm === alg ? key : refuse('wrong_algorithm', { kid, alg, expected: key.algorithm })
}

/**
 * Checks whether an ECDSA signature uses the high one of its two possible values of s. It is refused even if it verifies.
 */
function isHighS(token: string, alg: string): boolean {
  return alg === 'ES256' && !hasLowS(Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url'))
}

function refuse(detail: DetailOf<'bad_signature'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_token', 'bad_signature', detail, facts)
}
