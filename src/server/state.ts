// Revocations and clients in memory, following the store. Every request reads them.
import type { AccessTokenClaims } from '../core/access-token.ts'
import { OAuthError, type WhyRevoked } from '../core/errors.ts'
import { type ErrorLog, guardedWithLog, logError } from '../core/guard.ts'
import { Revocations } from '../core/revocations.ts'
import type { Change, Store } from '../store/store.ts'
import type { ClientRegistry } from './clients/registry.ts'

/** Milliseconds without contact to the store after which the state is outdated and no longer trusted. */
export const maximumSilence = 5000

/** Milliseconds between two removals of expired records, and how many records of the store one step removes. */
const sweep = { interval: 10_000, step: 500 }

export interface State {
  /**
   * Verifies that the state is up to date. @throws OAuthError `store_unavailable` after too long without contact to the
   * store.
   */
  requireSync(): void
  /**
   * Returns why a token is refused before it expires, if it is; also for tokens of disabled clients. @throws OAuthError as
   * above.
   */
  findRevocation(claims: AccessTokenClaims): WhyRevoked | undefined
  /** Checks whether a token is refused before it expires. @throws OAuthError as above. */
  isRevoked(claims: AccessTokenClaims): boolean
  /** Returns the number of the revocation that tokens issued at `now` must carry as `issued_after`, if any. */
  findMark(clientId: string, thumbprint: string, now: number): number | undefined
  stop(): void
}

/**
 * Loads the state from the store and follows it. `now` in seconds since 1970; `onChange` receives each applied change.
 * `log` receives unexpected failures. Rejects as the store does.
 */
export async function followStore(
  store: Store,
  clients: ClientRegistry,
  now: () => number,
  onChange: (change: Change) => void = () => {},
  log: ErrorLog = { error() {} },
): Promise<State> {
  const revocations = new Revocations()
  const notify = guardedWithLog(log, 'unhandled error after a change of the state', onChange)
  let isFailing = false
  const apply = (change: Change) => {
    try {
      if (change.kind === 'revocation') revocations.add(change.revocation, change.sequence)
      else clients.apply(change.client)
      isFailing = false
    } catch (error) {
      if (!isFailing) logError(log, error, 'unhandled error: a change of the state cannot be applied')
      isFailing = true
      throw error // so that the store sends it again
    }
    notify(change)
  }
  const unfollow = await store.follow(apply, 0, columns => revocations.addPacked(columns))
  // If the clock jumps ahead and is set back, records must not be lost in between. So time passes as on the monotonic
  // clock.
  const start = { now: now(), monotonic: performance.now() }
  const passed = () => Math.min(now(), start.now + Math.floor((performance.now() - start.monotonic) / 1000))
  const clean = () => {
    revocations.removeExpired(passed())
    removeExpired().catch(() => {}) // requests report an unavailable store; the next sweep retries
  }
  const timer = setInterval(
    guardedWithLog(log, 'unhandled error while removing expired records', clean),
    sweep.interval,
  )
  timer.unref()

  async function removeExpired(): Promise<void> {
    while ((await store.removeExpired(passed(), sweep.step)) === sweep.step);
  }

  function requireSync(): void {
    if (store.millisecondsSinceSync() > maximumSilence)
      throw new OAuthError('temporarily_unavailable', 'store_unavailable', 'stale')
  }

  function findRevocation(claims: AccessTokenClaims): WhyRevoked | undefined {
    requireSync()
    // First, because disabling a client also revokes its tokens, and the operator must learn the cause.
    if (!clients.isEnabled(claims.client_id)) return ['client_disabled']
    const found = revocations.find(claims)
    if (found === undefined) return undefined
    const { kind, notBefore: mark } = found
    return kind === 'token' || kind === 'grant' ? [kind] : [kind, { found: claims.iat, mark }]
  }

  return {
    requireSync,
    findRevocation,
    isRevoked: claims => findRevocation(claims) !== undefined,
    findMark: (clientId, thumbprint, time) => revocations.findMark(clientId, thumbprint, time),
    stop: () => {
      clearInterval(timer)
      unfollow()
    },
  }
}
