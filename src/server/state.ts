// What the server knows by heart: revocations and clients, as the store tells them. Asked on every request.
import type { AccessTokenClaims } from '../core/access-token.ts'
import type { DetailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { type ErrorLog, guardedWithLog, logError } from '../core/guard.ts'
import { Revocations } from '../core/revocations.ts'
import type { News, Store } from '../store/store.ts'
import type { ClientRegistry } from './clients/registry.ts'

/** Milliseconds without a word from the store after which old news is no longer trusted. */
export const maximumSilence = 5000

/** Milliseconds between two looks for what has expired, and how many records of the store are removed in one step. */
const sweep = { interval: 10_000, step: 500 }

export interface State {
  /** @throws OAuthError `store_unavailable` when the store was not heard from for too long to trust what it told before. */
  requireNews(): void
  /** Why a token is refused before it expires, if it is; those of disabled clients are, too. @throws OAuthError as above. */
  findRevocation(claims: AccessTokenClaims): DetailOf<'revoked'> | undefined
  /** Whether a token is refused before it expires. @throws OAuthError as above. */
  isRevoked(claims: AccessTokenClaims): boolean
  /** The number of the revocation that what is issued at `now` has to carry as `issued_after`, if there is one. */
  findMark(clientId: string, thumbprint: string, now: number): number | undefined
  stop(): void
}

/**
 * Learns what the store has, and follows it from then on. `now` in seconds since 1970; `onNews` is told what is in force now.
 * `log` is told what fails unexpectedly. Rejects as the store does.
 */
export async function followStore(
  store: Store,
  clients: ClientRegistry,
  now: () => number,
  onNews: (news: News) => void = () => {},
  log: ErrorLog = { error() {} },
): Promise<State> {
  const revocations = new Revocations()
  const notify = guardedWithLog(log, 'unhandled error after a change of the state', onNews)
  let isFailing = false
  const unfollow = await store.follow(news => {
    try {
      if (news.kind === 'revocation') revocations.add(news.revocation, news.sequence)
      else clients.apply(news.client)
      isFailing = false
    } catch (error) {
      if (!isFailing) logError(log, error, 'unhandled error: a change of the state cannot be applied')
      isFailing = true
      throw error // so that the store counts it as not told, and tells it again
    }
    notify(news)
  })
  // A clock that jumps ahead must not make us forget what is alive again when it is put back: time passes as it does on
  // the monotonic clock, and never faster.
  const start = { now: now(), monotonic: performance.now() }
  const passed = () => Math.min(now(), start.now + Math.floor((performance.now() - start.monotonic) / 1000))
  const clean = () => {
    revocations.removeExpired(passed())
    removeExpired().catch(() => {}) // a store that does not answer shows in the answers; the next sweep tries again
  }
  const timer = setInterval(
    guardedWithLog(log, 'unhandled error while expired records are removed', clean),
    sweep.interval,
  )
  timer.unref()

  async function removeExpired(): Promise<void> {
    while ((await store.removeExpired(passed(), sweep.step)) === sweep.step);
  }

  function requireNews(): void {
    if (store.millisecondsSinceSync() > maximumSilence)
      throw new OAuthError('temporarily_unavailable', 'store_unavailable', 'stale')
  }

  function findRevocation(claims: AccessTokenClaims): DetailOf<'revoked'> | undefined {
    requireNews()
    // First, since disabling a client revokes its tokens too, and the operator must learn the cause.
    return clients.isEnabled(claims.client_id) ? revocations.find(claims) : 'client_disabled'
  }

  return {
    requireNews,
    findRevocation,
    isRevoked: claims => findRevocation(claims) !== undefined,
    findMark: (clientId, thumbprint, time) => revocations.findMark(clientId, thumbprint, time),
    stop: () => {
      clearInterval(timer)
      unfollow()
    },
  }
}
