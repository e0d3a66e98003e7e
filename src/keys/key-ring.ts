// The keys that sign and verify access tokens. core/key-schedule.ts decides which one signs.
import { isDeepStrictEqual } from 'node:util'
import { findCurrent, findPublished, findSigning } from '../core/key-schedule.ts'
import type { PasetoClaims } from './paseto-key.ts'
import { isPasetoKey, type SigningKey, type TokenJwk } from './token-keys.ts'

export interface KeyRing {
  /**
   * Signs claims with the current signing key. `now` is in seconds since 1970. `type`: the `typ` of the header, default
   * `at+jwt`.
   */
  sign(claims: object, now: number, type?: string): string
  /** Signs claims as a PASETO, with the current key for that. Undefined if there is none. `now` in seconds since 1970. */
  signPaseto(claims: PasetoClaims, now: number): string | undefined
  /** Whether a key signs PASETO at `now`. */
  hasPaseto(now: number): boolean
  /** Returns when the first key for PASETO that does not sign yet at `now` will sign, in seconds since 1970. Undefined if there is none. */
  nextPaseto(now: number): number | undefined
  /** Finds a key. Never one that has expired at `now`, in seconds since 1970: if it was stolen, it could sign new tokens. */
  find(kid: string, now: number): SigningKey | undefined
  readonly all: readonly SigningKey[]
  /** Changes when a key is removed or replaced. Tokens that were verified before must then be verified again. */
  readonly generation: number
  /** Returns the public keys at `now`, for `/oauth/jwks`. */
  published(now: number): TokenJwk[]
  /** Replaces all keys. @throws TypeError or RangeError if they are invalid; nothing is changed then. */
  replace(keys: readonly SigningKey[], now: number): void
}

/**
 * Creates a key ring. @throws TypeError if two keys have the same kid, or if a key for PASETO is also one for JWTs; RangeError if no
 * key signs JWTs at `now`.
 */
export function createKeyRing(keys: readonly SigningKey[], now: number): KeyRing {
  let held = sortKeys(keys, now)
  let generation = 0
  return {
    sign: (claims, time, type) => findSigning(held.forJwt, time).sign(claims, type),
    signPaseto: (claims, time) => findCurrent(held.forPaseto, time)?.sign(claims),
    hasPaseto: time => findCurrent(held.forPaseto, time) !== undefined,
    nextPaseto: time => {
      const starts = findPublished(held.forPaseto, time).map(({ nbf = 0 }) => nbf)
      return starts.filter(nbf => nbf > time).sort((one, other) => one - other)[0]
    },
    find: (kid, time) => {
      const key = held.byId.get(kid)
      return key && findPublished([key], time)[0]
    },
    get all() {
      return [...held.byId.values()]
    },
    get generation() {
      return generation
    },
    published: time => findPublished([...held.byId.values()], time).map(key => key.publicJwk),
    replace: (next, time) => {
      const before = held.byId
      // A removed key for PASETO is gone even if it was the last one: it may have been stolen. Then no PASETO is issued.
      held = sortKeys(next, time)
      if ([...before].some(([kid, key]) => !isSameKey(key, held.byId.get(kid)))) generation++
    },
  }
}

interface SortedKeys {
  readonly byId: ReadonlyMap<string, SigningKey>
  readonly forJwt: readonly SigningKey[]
  readonly forPaseto: readonly SigningKey[]
}

function sortKeys(keys: readonly SigningKey[], now: number): SortedKeys {
  const byId = new Map<string, SigningKey>()
  for (const key of keys) {
    if (byId.has(key.kid)) throw new TypeError(`two keys have the kid ${key.kid}; remove one of them`)
    byId.set(key.kid, key)
  }
  const forPaseto = keys.filter(({ publicJwk }) => isPasetoKey(publicJwk))
  const forJwt = keys.filter(({ publicJwk }) => !isPasetoKey(publicJwk))
  // A signature for one purpose must never be one for another (PASETO: Algorithm Lucidity).
  const shared = forPaseto.find(key => forJwt.some(other => isSamePoint(other.publicJwk.x, key.publicJwk.x)))
  if (shared !== undefined)
    throw new TypeError(`the key ${shared.kid} for PASETO is also one for JWTs; remove one of them`)
  if (forJwt.length === 0 && forPaseto.length > 0)
    throw new RangeError('no signing key is for JWTs; add one with tlsbound keys rotate')
  findSigning(forJwt, now)
  return { byId, forJwt, forPaseto }
}

/** Compares octets, since a JWK may spell them in several ways. */
function isSamePoint(one: string | undefined, other: string | undefined): boolean {
  return Buffer.from(String(one), 'base64url').equals(Buffer.from(String(other), 'base64url'))
}

/** Returns whether two keys verify the same signatures. */
function isSameKey({ publicJwk }: SigningKey, other: SigningKey | undefined): boolean {
  return isDeepStrictEqual(publicJwk, other?.publicJwk)
}
