// The latest refusals in plain words, for whoever begins to watch. A flood costs a place in a ring and a count for each:
// words are made for those that are shown.
import type { SecurityEvent } from '../audit/event.ts'
import { reasons } from '../core/errors.ts'
import type { Audit } from '../server/record-events.ts'
import { readable } from './live-text.ts'

/** How many are kept. */
const kept = 100

export interface Refusals {
  /** How many there were since the server started. */
  count(): number
  /** Those after the first `seen`, oldest first; of a flood the latest `limit`. */
  since(seen: number, limit?: number): object[]
}

/** Keeps the refusals from now on. */
export function keepRefusals(audit: Pick<Audit, 'observe'>): Refusals {
  const ring: SecurityEvent[] = []
  let count = 0
  audit.observe(event => {
    if (event.outcome === 'refused' && event.event !== 'notification.failed') ring[count++ % kept] = event
  })
  return {
    count: () => count,
    since(seen, limit = kept) {
      const first = Math.max(seen, count - Math.min(limit, kept), 0)
      return Array.from({ length: count - first }, (_, at) => {
        const number = first + at
        return describe(ring[number % kept] as SecurityEvent, number + 1)
      })
    },
  }
}

function describe(refusal: SecurityEvent, number: number): object {
  const { time, event, reason = 'refresh_reused', status, method, path, peer, peer_port } = refusal
  return {
    number,
    time,
    event,
    reason,
    sentence: reasons[reason as keyof typeof reasons] ?? '',
    status,
    client: readable(refusal.client_id),
    token: readable(refusal.jti),
    peer: peer && `${peer}:${peer_port}`,
    request: readable(path && `${method} ${path}`),
  }
}
