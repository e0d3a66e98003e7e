// A flood of equal refusals: the first of each second are written one by one, the others counted, and one line tells how
// many they were. Nobody's disk fills up because somebody else repeats himself, and no count is lost.
import type { RecordEvent, SecurityEvent } from './event.ts'

/** Of equal refusals in one second, how many are written one by one. */
export const written = 20

/** Different refusals in one second that are told apart; from there on each is written, so that memory has a bound. */
const maximumKinds = 4096

interface Kind {
  written: number
  /** The latest of those that are only counted. */
  last: SecurityEvent | undefined
  counted: number
}

export interface FloodGate {
  /** @throws Error when the event, or what was counted before it, cannot be written. */
  readonly record: RecordEvent
  /** Writes what was counted; called each second, and at the end. @throws Error when it cannot be written. */
  flush(): void
}

export function createFloodGate(record: RecordEvent): FloodGate {
  let kinds = new Map<string, Kind>()
  /** What was counted could not be written: until it can be, nothing more is taken. */
  let behind = false

  function flush(): void {
    for (const [key, { last, counted }] of kinds) {
      if (last !== undefined) {
        behind = true
        record({ ...last, count: counted })
      }
      kinds.delete(key)
    }
    behind = false
    kinds = new Map()
  }

  return {
    flush,
    record(event) {
      if (behind) flush()
      if (event.outcome !== 'refused') return record(event)
      const key = keyOf(event)
      const kind = kinds.get(key)
      if (kind !== undefined && kind.written >= written) {
        kind.last = event
        kind.counted++
        return
      }
      record(event)
      if (kind !== undefined) kind.written++
      else if (kinds.size < maximumKinds) kinds.set(key, { written: 1, last: undefined, counted: 0 })
    },
  }
}

/**
 * Equal are refusals of one kind, for one reason, of one token, from one certificate and address. A token has an id here
 * only when it is one of ours, so nobody makes refusals differ by what they invent; nor by the addresses of their network.
 */
function keyOf({ event, reason, status, jti, 'x5t#S256': certificate, peer }: SecurityEvent): string {
  return JSON.stringify([event, reason, status, jti, certificate, peer && networkOf(peer)])
}

/** An IPv6 host has its whole /64 to choose from. */
function networkOf(address: string): string {
  const [head = '', tail] = address.split('::')
  if (!address.includes(':') || address.includes('.')) return address
  const groups = head.split(':').filter(group => group !== '')
  const zeros = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(group => group !== '').length
  return [...groups, ...Array(zeros).fill('0'), ...(tail ?? '').split(':')].slice(0, 4).join(':')
}
