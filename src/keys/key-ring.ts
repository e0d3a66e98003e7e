// The keys that sign and verify access tokens. core/key-schedule.ts decides which one signs.
import { isDeepStrictEqual } from 'node:util'
import { findPublished, findSigning } from '../core/key-schedule.ts'
import type { SigningKey, TokenJwk } from './token-keys.ts'

export interface KeyRing {
  /**
   * Signs claims with the current signing key. `now` is in seconds since 1970. `type`: the `typ` of the header, default
   * `at+jwt`.
   */
  sign(claims: object, now: number, type?: string): string
  find(kid: string): SigningKey | undefined
  readonly all: readonly SigningKey[]
  /** Changes when a key is removed or replaced. Tokens that were verified before must then be verified again. */
  readonly generation: number
  /** Returns the public keys at `now`, for `/oauth/jwks`. */
  published(now: number): TokenJwk[]
  /** Replaces all keys. @throws TypeError or RangeError if they are invalid; nothing is changed then. */
  replace(keys: readonly SigningKey[], now: number): void
}

/** Creates a key ring. @throws TypeError if two keys have the same kid, RangeError if no key signs at `now`. */
export function createKeyRing(keys: readonly SigningKey[], now: number): KeyRing {
  let byId = index(keys, now)
  let generation = 0
  return {
    sign: (claims, time, type) => findSigning([...byId.values()], time).sign(claims, type),
    find: kid => byId.get(kid),
    get all() {
      return [...byId.values()]
    },
    get generation() {
      return generation
    },
    published: time => findPublished([...byId.values()], time).map(key => key.publicJwk),
    replace: (next, time) => {
      const before = byId
      byId = index(next, time)
      if ([...before].some(([kid, key]) => !isSameKey(key, byId.get(kid)))) generation++
    },
  }
}

function index(keys: readonly SigningKey[], now: number): ReadonlyMap<string, SigningKey> {
  const byId = new Map<string, SigningKey>()
  for (const key of keys) {
    if (byId.has(key.kid)) throw new TypeError(`two keys have the kid ${key.kid}; remove one of them`)
    byId.set(key.kid, key)
  }
  findSigning(keys, now)
  return byId
}

/** Returns whether two keys verify the same signatures. */
function isSameKey({ publicJwk }: SigningKey, other: SigningKey | undefined): boolean {
  return isDeepStrictEqual(publicJwk, other?.publicJwk)
}
