// Keeps one who repeats himself from being notified of each time: of equal events within a minute the first is, and the
// next one after that minute says how many were not. Each of them is in the audit file.
import type { SecurityEvent } from '../audit/event.ts'

const minute = 60_000

/** Different events within a minute that a receiver is told of; from there on they are equal when their names are. */
export const mostKinds = 60

/** How many equal events were suppressed before this one; undefined: this one is, too. */
export type Damper = (event: SecurityEvent) => number | undefined

/** `clock` in milliseconds. */
export function createDamper(clock: () => number): Damper {
  const kinds = new Map<string, { since: number; suppressed: number }>()
  /** A clock that was put back has nobody wait for longer. */
  const isOver = (since: number, now: number) => now < since || now - since >= minute

  /** Makes room: for those of which nothing was suppressed, then for the others whose minute is over. */
  function forget(now: number): void {
    for (const [key, { since, suppressed }] of kinds) if (isOver(since, now) && suppressed === 0) kinds.delete(key)
    if (kinds.size >= mostKinds) for (const [key, { since }] of kinds) if (isOver(since, now)) kinds.delete(key)
  }

  return event => {
    const now = clock()
    const full = keyOf(event)
    if (!kinds.has(full) && kinds.size >= mostKinds) forget(now)
    const key = kinds.has(full) || kinds.size < mostKinds ? full : event.event
    const kind = kinds.get(key)
    if (kind !== undefined && !isOver(kind.since, now)) {
      kind.suppressed++
      return undefined
    }
    kinds.set(key, { since: now, suppressed: 0 })
    return kind?.suppressed ?? 0
  }
}

function keyOf({ event, client_id, reason, jti, 'x5t#S256': certificate }: SecurityEvent): string {
  return JSON.stringify([event, client_id, reason, jti, certificate])
}
