// Schedules the publication, use and removal of signing keys, so that a rotation never invalidates a valid token. A key is
// published before it signs, for as long as others may cache the key set, and removed after its last token has expired.

/** Times in seconds since 1970. `nbf` and `exp` are members of the key in its file, named as in RFC 7519. */
export interface Scheduled {
  readonly kid: string
  /** The key signs from this time until a later key does. Absent: without a start. */
  readonly nbf?: number | undefined
  /** All tokens that the key signed have expired at this time. Absent: the key has not been replaced. */
  readonly exp?: number | undefined
}

/** Seconds that a new key is published before it signs, and that the old key stays published after that. */
export interface Overlap {
  readonly before: number
  readonly after: number
}

/** Returns the keys whose tokens may be valid at `now`, and those that will sign later. */
export function findPublished<T extends Scheduled>(keys: readonly T[], now: number): T[] {
  return keys.filter(({ exp }) => exp === undefined || exp > now)
}

/** Returns the key that signs at `now`: the one with the latest start; of several, the first. Undefined if there is none. */
export function findCurrent<T extends Scheduled>(keys: readonly T[], now: number): T | undefined {
  const begun = findPublished(keys, now).filter(({ nbf = 0 }) => nbf <= now)
  const [first, ...others] = begun
  return first && others.reduce((latest, key) => ((key.nbf ?? 0) > (latest.nbf ?? 0) ? key : latest), first)
}

/** Returns the key that signs at `now`, as `findCurrent` does. @throws RangeError if there is none. */
export function findSigning<T extends Scheduled>(keys: readonly T[], now: number): T {
  const current = findCurrent(keys, now)
  if (current === undefined)
    throw new RangeError(
      'no signing key is valid now: each one starts later (nbf) or has expired (exp); compare the clocks, or add a key',
    )
  return current
}

/** Rotates the keys at `now`: adds `next`, sets an `exp` for the previous keys, and removes the expired ones. */
export function rotate<T extends Scheduled>(keys: readonly T[], next: T, now: number, overlap: Overlap): T[] {
  const begins = now + overlap.before
  const kept = findPublished(keys, now).map(key => ({ ...key, exp: key.exp ?? begins + overlap.after }))
  return [...kept, { ...next, nbf: begins }]
}

/** Returns whether the newest key will have signed for `maximumAge` seconds when the next key could start. */
export function isRotationDue(keys: readonly Scheduled[], now: number, maximumAge: number, overlap: Overlap): boolean {
  const newest = Math.max(...keys.map(({ nbf = 0 }) => nbf))
  return now + overlap.before >= newest + maximumAge
}
