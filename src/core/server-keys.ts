// Whether two servers of one issuer can accept each other's tokens: each signing key of one must be at the other while a token
// that it signed may be valid. A key that will sign later may be missing until then, so that keys can be rotated server by server.
import { maximumLifetime } from './access-token.ts'
import { findPublished, type Scheduled } from './key-schedule.ts'
import { pasetoVersion } from './paseto.ts'

/** A signing key as another server knows it: enough to notice another key with the same id. */
export interface KnownKey extends Scheduled {
  readonly alg: string
  /** The thumbprint of the key by RFC 7638. */
  readonly thumbprint: string
}

export interface KeyDifference {
  readonly kid: string
  /** `here`, `there`: the key is missing at this or at the other server. `content`: there are two keys with one id. */
  readonly what: 'here' | 'there' | 'content'
  /** Seconds since 1970 from which tokens are refused; not after `now`: they are refused already. */
  readonly from: number
}

/** Compares the keys of this server with those of another one. `now` in seconds since 1970. */
export function compareKeys(own: readonly KnownKey[], others: readonly KnownKey[], now: number): KeyDifference[] {
  const content = findUsed(own, now).flatMap(({ key }) => {
    const other = findPublished(others, now).find(({ kid }) => kid === key.kid)
    const isSame = other === undefined || (other.thumbprint === key.thumbprint && other.alg === key.alg)
    return isSame ? [] : [{ kid: key.kid, what: 'content' as const, from: now }]
  })
  return [
    ...content,
    ...findMissing(others, own, now).map(missing => ({ ...missing, what: 'here' as const })),
    ...findMissing(own, others, now).map(missing => ({ ...missing, what: 'there' as const })),
  ]
}

/** Whether a difference makes one of the servers refuse tokens of the other one now. */
export function isHarmful({ from }: KeyDifference, now: number): boolean {
  return from <= now
}

function findMissing(keys: readonly KnownKey[], among: readonly KnownKey[], now: number) {
  const present = new Set(findPublished(among, now).map(({ kid }) => kid))
  return findUsed(keys, now)
    .filter(({ key }) => !present.has(key.kid))
    .map(({ key: { kid }, from }) => ({ kid, from }))
}

/** Returns the keys of which valid tokens can exist now or later, and since when. Keys for PASETO replace no keys for JWTs, and the reverse. */
function findUsed(keys: readonly KnownKey[], now: number): { readonly key: KnownKey; readonly from: number }[] {
  return findPublished(keys, now).flatMap(key => {
    const begins = key.nbf ?? 0
    const replacing = keys.filter(({ alg }) => (alg === pasetoVersion) === (key.alg === pasetoVersion))
    const later = replacing.map(({ nbf = 0 }) => nbf).filter(nbf => nbf > begins)
    const isUsed = later.length === 0 || now < Math.min(...later) + maximumLifetime
    return isUsed ? [{ key, from: begins }] : []
  })
}
