// The rotation rule: evaluates the use of a refresh token. RFC 6749 §6, RFC 9700 §4.14. A lost response does not lock out the
// client, at most one of several simultaneous uses succeeds, and a replay revokes the grant.

import type { Why } from './errors.ts'

/** Milliseconds after a use within which another use is a race: it is rejected, without further consequences. */
export const raceWindow = 1000

/** Milliseconds after the first use within which a client may retry, because the response was lost. */
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
  /** Milliseconds since 1970 of the first and the latest successful use; undefined if there is none. */
  readonly used: { readonly first: number; readonly latest: number } | undefined
  /** Whether a retry replaced the token before it was ever presented. */
  readonly superseded: boolean
  /** Whether the successor of the token was presented. */
  readonly successorUsed: boolean
}

export type RefreshOutcome = 'rotated' | 'retried' | 'static'
export type RefreshRefusal = 'unknown' | 'expired' | 'revoked' | 'raced' | 'reused'

/** The reason and detail of each refusal. */
export const refreshReasons = {
  unknown: ['refresh_unknown', 'not_stored'],
  expired: ['refresh_expired', 'ended'],
  revoked: ['refresh_revoked', 'revoked'],
  raced: ['refresh_reused', 'raced'],
  reused: ['refresh_reused', 'reused'],
} as const satisfies Record<RefreshRefusal, Why>

/**
 * Evaluates the use of a refresh token at `now`, in milliseconds since 1970. `reused` is a theft: the caller must revoke the
 * grant in the same transaction. If the clock is behind the one that stored the latest use, the result is a race.
 */
export function judgeRefresh(
  token: RefreshTokenFacts,
  now: number,
): RefreshOutcome | Exclude<RefreshRefusal, 'unknown'> {
  if (token.revoked) return 'revoked'
  if (now >= token.expires * 1000) return 'expired'
  if (token.rotation === 'static') return 'static'
  if (token.superseded) return 'reused'
  if (token.used === undefined) return 'rotated'
  // Retries can race too: without this check, each of several simultaneous retries would replace the token of the previous one.
  if (now - token.used.latest < raceWindow) return 'raced'
  return now - token.used.first < retryWindow && !token.successorUsed ? 'retried' : 'reused'
}
