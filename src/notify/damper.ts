// Limits repeated notifications: of equal events within a minute only the first is sent. The next one after that minute has
// the number of suppressed events. The audit file has every event.
import type { SecurityEvent } from '../audit/event.ts'

const minute = 60_000

/** Different events per minute and receiver; beyond it, events with the same name are equal. */
export const mostKinds = 60

/** Returns how many equal events were suppressed before this one; undefined if this one is suppressed too. */
export type Damper = (event: SecurityEvent) => number | undefined

/** `clock` returns milliseconds. */
export function createDamper(clock: () => number): Damper {
  const kinds = new Map<string, { since: number; suppressed: number }>()
  /** A minute also ends when the clock was set back, so that no event waits longer. */
  const isOver = (since: number, now: number) => now < since || now - since >= minute

  /** Frees entries whose minute is over, first those without suppressed events. */
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
