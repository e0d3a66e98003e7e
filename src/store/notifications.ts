// The queue of notifications. A claimed notification is reserved until a given time and is then due again, so that none is
// lost when a server is killed.
import type { Notification, SpooledNotification } from './store.ts'
import { ask, type Work } from './work.ts'

/**
 * Maximum number of queued notifications per receiver. Further ones are refused: the first ones about a theft matter most.
 */
export const spoolLimit = 1000

export function* spoolNotification({ id, receiver, body, due, expires }: Notification): Work<boolean> {
  const kept = yield* ask(
    `INSERT INTO notifications (id, receiver, body, due, expires) SELECT ?, ?, ?, ?, ?
     WHERE (SELECT count(*) FROM notifications WHERE receiver = ?) < ? RETURNING id`,
    id,
    receiver,
    body,
    due,
    expires,
    receiver,
    spoolLimit,
  )
  return kept.length > 0
}

export function* findDueReceivers(now: number): Work<string[]> {
  const rows = yield* ask('SELECT DISTINCT receiver FROM notifications WHERE due <= ? ORDER BY receiver', now)
  return rows.map(row => row.receiver as string)
}

/** `skipLocked` skips the rows that another server is claiming. */
export function* claimNotifications(
  receiver: string,
  { now, until, limit }: { readonly now: number; readonly until: number; readonly limit: number },
  skipLocked = '',
): Work<SpooledNotification[]> {
  const rows = yield* ask(
    `UPDATE notifications SET due = ?, attempts = attempts + 1 WHERE number IN (
       SELECT number FROM notifications WHERE receiver = ? AND due <= ? ORDER BY due, number LIMIT ? ${skipLocked})
     RETURNING id, body, attempts, number`,
    until,
    receiver,
    now,
    limit,
  )
  return rows
    .toSorted((one, other) => (one.number as number) - (other.number as number))
    .map(({ id, body, attempts }) => ({ id, body, attempts }) as SpooledNotification)
}

export function* postponeNotification(id: string, attempts: number, due: number): Work<void> {
  yield* ask('UPDATE notifications SET due = ? WHERE id = ? AND attempts = ?', due, id, attempts)
}

export function* removeNotification(id: string): Work<void> {
  yield* ask('DELETE FROM notifications WHERE id = ?', id)
}
