// What has expired is removed in small steps, each of which holds up nobody for long.
import { ask, type Work } from './work.ts'

/** In this order: a grant goes when its refresh tokens are gone. Each takes a time in seconds, and a number of rows. */
const steps = [
  `DELETE FROM refresh_tokens WHERE hash IN (
     SELECT t.hash FROM grants g JOIN refresh_tokens t ON t.grant_number = g.number WHERE g.expires < ? LIMIT ?) RETURNING 1`,
  `DELETE FROM grants WHERE number IN (
     SELECT g.number FROM grants g WHERE g.expires < ?
       AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.grant_number = g.number) LIMIT ?) RETURNING 1`,
  'DELETE FROM access_tokens WHERE hash IN (SELECT hash FROM access_tokens WHERE expires < ? LIMIT ?) RETURNING 1',
  `DELETE FROM revocations WHERE sequence IN (SELECT sequence FROM revocations WHERE expires < ? LIMIT ?) RETURNING 1`,
  'DELETE FROM notifications WHERE number IN (SELECT number FROM notifications WHERE expires < ? LIMIT ?) RETURNING 1',
]

export function* removeExpired(now: number, limit: number): Work<number> {
  let removed = 0
  for (const sql of steps) if (removed < limit) removed += (yield* ask(sql, now, limit - removed)).length
  return removed
}
