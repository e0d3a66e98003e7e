// Reads a token and returns its claims: by signature, or from the store for an opaque token. It does not verify time,
// audience or binding; token-verifier.ts and routes/introspect.ts do.
import { hasLowS, parseTokenHeader } from '../core/compact-jws.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../core/opaque-token.ts'
import { whenReady } from '../core/when-ready.ts'
import type { VerificationKey } from '../keys/token-keys.ts'

export type Claims = Readonly<Record<string, unknown>>

/** Reads a token. @throws OAuthError (rejects) `bad_signature` or `wrong_type`; `store_unavailable`, `issuer_unavailable`. */
export type TokenReader = (token: string) => Claims | Promise<Claims>

/** Finds a key of the issuer by its id. Keys that a token contains or points to are never used (RFC 8725 §3.10). */
export type FindKey = (kid: string) => VerificationKey | undefined | Promise<VerificationKey | undefined>

/**
 * Creates a token reader. `findOpaque` returns the claims stored under the hash of an opaque token; without it, opaque
 * tokens are refused.
 */
export function createTokenReader(
  findKey: FindKey,
  findOpaque?: (hash: string) => Promise<Claims | undefined>,
): TokenReader {
  return token => {
    // The checksum rejects random text before a store lookup.
    if (findOpaque !== undefined && isOpaqueToken(token) === 'at')
      return findOpaque(hashOpaqueToken(token)).then(claims => claims ?? refuse('not_stored'))
    const { alg, kid } = parseTokenHeader(token)
    const verify = (key: VerificationKey | undefined) => {
      if (key === undefined) return refuse('unknown_key', { kid, alg })
      if (key.algorithm !== alg) return refuse('wrong_algorithm', { kid, alg, expected: key.algorithm })
      return key.verify(token) ?? refuse(isHighS(token, alg) ? 'high_s' : 'wrong_signature', { kid, alg })
    }
    return whenReady(() => findKey(kid), verify)
  }
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
