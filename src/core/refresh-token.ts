// The rotation rule: evaluates the use of a refresh token. RFC 6749 §6, RFC 9700 §4.14. Rotation is idempotent: a client whose
// processes race, or whose response was lost, gets the same successor again, so that a grant has one line of tokens.

import type { Why } from './errors.ts'

/** Milliseconds after the first use within which the same successor is issued again, as long as that is unused. */
export const retryWindow = 60_000

/** `rotate`: each use returns a new refresh token. `static`: the token stays the same until the grant ends (FAPI 2.0 §5.3.2.1). */
export type Rotation = 'rotate' | 'static'

/** The state of a presented refresh token and its grant. */
export interface RefreshTokenFacts {
  readonly rotation: Rotation
  /** Seconds since 1970; never extended by a use. */
  readonly expires: number
  /** Whether the grant, its client, its certificate or all tokens were revoked. */
  readonly revoked: boolean
  /** The first successful use; undefined if there is none. */
  readonly used:
    | {
        /** Milliseconds since 1970. */
        readonly first: number
        /** `sealed`: unused, and its sealed copy is stored. `used`: it was presented. `gone`: unused, without a sealed copy. */
        readonly successor: 'sealed' | 'used' | 'gone'
      }
    | undefined
}

/** `retried`: the successor of the first use is issued again. */
export type RefreshOutcome = 'rotated' | 'retried' | 'static'
export type RefreshRefusal = 'unknown' | 'expired' | 'revoked' | 'reused'

/** The reason and detail of each refusal, except those of reuse: `detailOfReuse`. */
export const refreshReasons = {
  unknown: ['refresh_unknown', 'not_stored'],
  expired: ['refresh_expired', 'ended'],
  revoked: ['refresh_revoked', 'revoked'],
} as const satisfies Record<Exclude<RefreshRefusal, 'reused'>, Why>

/**
 * Evaluates the use of a refresh token at `now`, in milliseconds since 1970, by the certificate or client that it is bound to. If
 * the clock is behind the one that stored the first use, the result is a retry.
 */
export function judgeRefresh(
  { revoked, expires, rotation, used }: RefreshTokenFacts,
  now: number,
): RefreshOutcome | Exclude<RefreshRefusal, 'unknown'> {
  if (revoked) return 'revoked'
  if (now >= expires * 1000) return 'expired'
  if (rotation === 'static') return 'static'
  if (used === undefined) return 'rotated'
  // A used successor is never issued again: otherwise a token from an old backup or log would lead to the current one.
  return used.successor === 'sealed' && now - used.first < retryWindow ? 'retried' : 'reused'
}

/** The detail of a reuse: whether the successor was used. If not, the client may have lost the response. */
export function detailOfReuse({ used }: Pick<RefreshTokenFacts, 'used'>): 'reused' | 'answer_lost' {
  return used?.successor === 'used' ? 'reused' : 'answer_lost'
}
