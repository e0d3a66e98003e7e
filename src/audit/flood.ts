// A flood of refusals: the first of each second are written one by one, the others counted, and one line for each kind tells
// how many they were. Nobody's disk fills up because somebody else repeats himself, and no count is lost.
import type { RecordEvent, SecurityEvent } from './event.ts'

/** Of equal refusals in one second, how many are written one by one. */
export const written = 20

/** The same of all refusals together. */
export const writtenInAll = 1000

/** Different refusals in one second that are told apart; of the others only what happened and why. So memory has a bound. */
export const mostKinds = 1024

interface Kind {
  written: number
  /** When the first was that is only counted, the latest of these, and their number. */
  since: string | undefined
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
  const kinds = new Map<string, Kind>()
  let writtenSoFar = 0
  /** What was counted could not be written: until it can be, nothing more is taken. */
  let behind = false

  function flush(): void {
    for (const [key, { last, since, counted }] of kinds) {
      if (last !== undefined) {
        behind = true
        record(counted === 1 ? last : { ...last, count: counted, since })
      }
      kinds.delete(key)
    }
    behind = false
    writtenSoFar = 0
  }

  /** The kind of an event, and the event as far as its kind tells it apart from others. */
  function sort(event: SecurityEvent): { kind: Kind; told: SecurityEvent } {
    const key = keyOf(event)
    const told = kinds.has(key) || kinds.size < mostKinds ? event : withoutOrigin(event)
    return { kind: find(told === event ? key : keyOf(told)), told }
  }

  function find(key: string): Kind {
    const kind = kinds.get(key) ?? { written: 0, since: undefined, last: undefined, counted: 0 }
    kinds.set(key, kind)
    return kind
  }

  return {
    flush,
    record(event) {
      if (behind) flush()
      if (event.outcome !== 'refused') return record(event)
      const { kind, told } = sort(event)
      if (kind.counted === 0 && kind.written < written && writtenSoFar < writtenInAll) {
        record(event)
        kind.written++
        writtenSoFar++
        return
      }
      kind.since ??= event.time
      kind.last = told
      kind.counted++
    },
  }
}

/**
 * Equal are refusals of one kind, for one reason, of one token or grant, from one certificate and address. A token has an id
 * here only when it is one of ours, so nobody makes refusals differ by what they invent; nor by the addresses of their network.
 */
function keyOf({ event, reason, detail, status, jti, grant, 'x5t#S256': certificate, peer }: SecurityEvent): string {
  return JSON.stringify([event, reason, detail, status, jti, grant, certificate, peer && networkOf(peer)])
}

/** What refusals from everywhere have in common. There are as many kinds of these as there are reasons. */
function withoutOrigin({ time, event, outcome, reason, detail, status }: SecurityEvent): SecurityEvent {
  return { time, event, outcome, reason, detail, status }
}

/** An IPv6 host has its whole /64 to choose from. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = '', tail] = address.split('::')
  const groups = (part: string) => part.split(':').filter(group => group !== '')
  const [first, last] = [groups(head), groups(tail ?? '')]
  return [...first, ...Array(8 - first.length - last.length).fill('0'), ...last].slice(0, 4).join(':')
}
