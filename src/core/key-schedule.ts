// When a signing key is published, signs and goes: so that a rotation never makes a good token bad.
// Published before it signs, for as long as others may keep our key set; kept until its last token has expired.

/** Seconds since 1970. Both are members of the key in its file, in the words of RFC 7519. */
export interface Scheduled {
  readonly kid: string
  /** It signs from then on, until a later one does. Absent: it always has. */
  readonly nbf?: number | undefined
  /** Nothing that it signed is alive then. Absent: no other key has been put in its place. */
  readonly exp?: number | undefined
}

/** How long a new key is published before it signs, and how long an old one stays after it; in seconds. */
export interface Overlap {
  readonly before: number
  readonly after: number
}

/** The keys whose tokens may be alive at `now`, or that will sign later. */
export function findPublished<T extends Scheduled>(keys: readonly T[], now: number): T[] {
  return keys.filter(({ exp }) => exp === undefined || exp > now)
}

/** The key that signs at `now`: the latest one to have begun; of several, the first. @throws RangeError when none has. */
export function findSigning<T extends Scheduled>(keys: readonly T[], now: number): T {
  const begun = findPublished(keys, now).filter(({ nbf = 0 }) => nbf <= now)
  const [first, ...others] = begun
  if (first === undefined)
    throw new RangeError(
      'no key signs now: each begins later (nbf) or has ended (exp); compare the clocks, or add a key',
    )
  return others.reduce((latest, key) => ((key.nbf ?? 0) > (latest.nbf ?? 0) ? key : latest), first)
}

/** The keys as they are after a rotation at `now`: `next` added, an end set for those before it, the dead removed. */
export function rotate<T extends Scheduled>(keys: readonly T[], next: T, now: number, overlap: Overlap): T[] {
  const begins = now + overlap.before
  const kept = findPublished(keys, now).map(key => ({ ...key, exp: key.exp ?? begins + overlap.after }))
  return [...kept, { ...next, nbf: begins }]
}

/** Whether the newest key has signed, or will have signed, for `maximumAge` seconds by the time a next one could begin. */
export function isRotationDue(keys: readonly Scheduled[], now: number, maximumAge: number, overlap: Overlap): boolean {
  const newest = Math.max(...keys.map(({ nbf = 0 }) => nbf))
  return now + overlap.before >= newest + maximumAge
}
