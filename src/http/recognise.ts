// Whether somebody who may not act has brought a token of ours: a stolen token shows itself even where its thief has no
// certificate at all. Only for the event; nothing is decided by it, and under a flood it is left out.

import type { AccessTokenClaims } from '../core/access-token.ts'
import type { OAuthError } from '../core/errors.ts'
import { isOpaqueToken } from '../core/opaque-token.ts'
import { describeToken } from './token-facts.ts'
import type { TokenReader } from './token-reader.ts'

/** Signatures looked at in one second for this alone. */
const budget = 100

/** Adds to a refusal the facts of the token that came with it, where it is one of ours and alive. */
export function createRecogniser(
  readToken: TokenReader,
  isRevoked: (claims: AccessTokenClaims) => boolean,
  now: () => number,
): (token: string, refusal: OAuthError) => void {
  let second = 0
  let looked = 0
  return (token, refusal) => {
    const time = now()
    if (time !== second) [second, looked] = [time, 0]
    if (looked++ >= budget || isOpaqueToken(token) !== undefined) return // no trip to the store for a thief
    try {
      const claims = readToken(token)
      if (claims instanceof Promise)
        claims.catch(() => {}) // keys that are to be fetched: not for this
      else if (
        typeof claims.exp === 'number' &&
        claims.exp > time &&
        !isRevoked(claims as unknown as AccessTokenClaims)
      )
        refusal.token ??= describeToken(claims)
    } catch {} // not one of ours, or nobody can say whether it is alive
  }
}
