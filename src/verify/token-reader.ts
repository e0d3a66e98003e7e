// A token's text → the claims that its issuer gave it: by signature, or by the store for an opaque one.
// Not whether they still hold, and not for whom: token-verifier.ts and routes/introspect.ts ask that.
import { hasLowS, parseTokenHeader } from '../core/compact-jws.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../core/opaque-token.ts'
import type { VerificationKey } from '../keys/token-keys.ts'

export type Claims = Readonly<Record<string, unknown>>

/** Reads a token. @throws OAuthError (rejects) `bad_signature` or `wrong_type`; `store_unavailable`, `issuer_unavailable`. */
export type TokenReader = (token: string) => Claims | Promise<Claims>

/** Finds a key of the issuer by its id; nothing that a token brings along or points to is one (RFC 8725 §3.10). */
export type FindKey = (kid: string) => VerificationKey | undefined | Promise<VerificationKey | undefined>

/** `findOpaque` gives the claims kept for the hash of an opaque token; without it there are none. */
export function createTokenReader(
  findKey: FindKey,
  findOpaque?: (hash: string) => Promise<Claims | undefined>,
): TokenReader {
  return token => {
    // The checksum tells noise from a token before the store is asked.
    if (findOpaque !== undefined && isOpaqueToken(token) === 'at')
      return findOpaque(hashOpaqueToken(token)).then(claims => claims ?? refuse('not_stored'))
    const { alg, kid } = parseTokenHeader(token)
    const verify = (key: VerificationKey | undefined) => {
      if (key === undefined) return refuse('unknown_key', { kid, alg })
      if (key.algorithm !== alg) return refuse('wrong_algorithm', { kid, alg, expected: key.algorithm })
      return key.verify(token) ?? refuse(isHighS(token, alg) ? 'high_s' : 'wrong_signature', { kid, alg })
    }
    const key = findKey(kid)
    return key instanceof Promise ? key.then(verify) : verify(key)
  }
}

/** Whether an ECDSA signature has the other one of its two possible values of s, which is refused whether or not it verifies. */
function isHighS(token: string, alg: string): boolean {
  return alg === 'ES256' && !hasLowS(Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url'))
}

function refuse(detail: DetailOf<'bad_signature'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_token', 'bad_signature', detail, facts)
}
