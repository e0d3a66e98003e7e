// The rotation rule: what the use of a refresh token means, from what is known about it. RFC 6749 §6, RFC 9700 §4.14.
// A lost answer locks nobody out, of many uses at the same time at most one succeeds, and a replayed token ends its grant.

import type { Why } from './errors.ts'

/** Milliseconds after a use within which another one is a race: refused, and nothing else happens. */
export const raceWindow = 1000

/** Milliseconds after the first use within which a client may ask again, because the answer did not reach it. */
export const retryWindow = 60_000

/** `rotate`: each use gives the next refresh token. `static`: the same one until the grant ends (FAPI 2.0 §5.3.2.1). */
export type Rotation = 'rotate' | 'static'

/** What is known about a presented refresh token and its grant. */
export interface RefreshTokenFacts {
  readonly rotation: Rotation
  /** Seconds since 1970; never extended by a use. */
  readonly expires: number
  /** Whether the grant, its client, its certificate or everything was revoked. */
  readonly revoked: boolean
  /** Milliseconds since 1970 of the first use that succeeded and of the latest (a retry, or the first); undefined: none has. */
  readonly used: { readonly first: number; readonly latest: number } | undefined
  /** Whether a retry put another one in its place before it was ever presented. */
  readonly superseded: boolean
  /** Whether the token that it was exchanged for has been presented. */
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
 * Judges the use of a refresh token that arrives at `now`, in milliseconds since 1970. `reused` is theft: whoever asks
 * must revoke the grant in the same step. A clock that runs behind the one that noted the last use makes a race of it.
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
  // Retries race too: otherwise each of many at the same time would replace the token that the one before was given.
  if (now - token.used.latest < raceWindow) return 'raced'
  return now - token.used.first < retryWindow && !token.successorUsed ? 'retried' : 'reused'
}
