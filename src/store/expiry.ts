// Removes expired records in small steps, so that other work is delayed only briefly.
import { afterlife } from '../core/revocations.ts'
import { ask, type Work } from './work.ts'

/** The time that a revocation mark is compared with: `Grant.rebound`, else `Grant.created`. */
const since = 'coalesce(rebound, created)'

/**
 * In this order, because a grant is removed after its refresh tokens. Each statement needs a time in seconds and a number
 * of rows. A grant stays while its access tokens may be valid, so that they can be revoked by it.
 */
const steps: readonly (readonly [sql: string, delay: number])[] = [
  [
    `DELETE FROM refresh_tokens WHERE hash IN (
       SELECT t.hash FROM grants g JOIN refresh_tokens t ON t.grant_number = g.number WHERE g.expires < ? LIMIT ?) RETURNING 1`,
    afterlife,
  ],
  [
    `DELETE FROM grants WHERE number IN (
       SELECT g.number FROM grants g WHERE g.expires < ?
         AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.grant_number = g.number) LIMIT ?) RETURNING 1`,
    afterlife,
  ],
  ['DELETE FROM access_tokens WHERE hash IN (SELECT hash FROM access_tokens WHERE expires < ? LIMIT ?) RETURNING 1', 0],
  // The revocation's expiry does not cover a grant that was being created when its client was revoked.
  [
    `DELETE FROM revocations WHERE sequence IN (
       SELECT r.sequence FROM revocations r WHERE r.expires < ?
         AND NOT EXISTS (SELECT 1 FROM grants WHERE r.kind = 'client' AND client_id = r.value AND ${since} < r.not_before)
         AND NOT EXISTS (SELECT 1 FROM grants WHERE r.kind = 'certificate' AND certificate = r.value AND ${since} < r.not_before)
         AND NOT EXISTS (SELECT 1 FROM grants WHERE r.kind = 'all' AND ${since} < r.not_before)
       LIMIT ?) RETURNING 1`,
    0,
  ],
  [
    'DELETE FROM notifications WHERE number IN (SELECT number FROM notifications WHERE expires < ? LIMIT ?) RETURNING 1',
    0,
  ],
]

export function* removeExpired(now: number, limit: number): Work<number> {
  let removed = 0
  for (const [sql, delay] of steps)
    if (removed < limit) removed += (yield* ask(sql, now - delay, limit - removed)).length
  return removed
}
