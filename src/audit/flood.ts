// Limits floods of refusals: the first of each second are written individually, the others are counted, and one line for each
// kind has their number. Repeated refusals cannot fill the disk, and no count is lost.
import type { RecordEvent, SecurityEvent } from './event.ts'

/** Equal refusals that are written individually in one second. */
export const written = 20

/** All refusals that are written individually in one second. */
export const writtenInAll = 1000

/**
 * Different refusals that are counted separately in one second, which bounds memory. Beyond it, only event and reason
 * distinguish them.
 */
export const mostKinds = 1024

interface Kind {
  written: number
  /** Time of the first refusal that is only counted, the latest of them, and their number. */
  since: string | undefined
  last: SecurityEvent | undefined
  counted: number
}

export interface FloodGate {
  /** @throws Error when the event, or what was counted before it, cannot be written. */
  readonly record: RecordEvent
  /** Writes the counted refusals; called each second, and at the end. @throws Error when they cannot be written. */
  flush(): void
}

/** Creates the gate. `processes`: how many write to the same place, and so share the limits; each writes at least one of a kind. */
export function createFloodGate(record: RecordEvent, processes = 1): FloodGate {
  const most = {
    ofKind: Math.max(1, Math.floor(written / processes)),
    inAll: Math.max(1, Math.floor(writtenInAll / processes)),
  }
  const kinds = new Map<string, Kind>()
  let writtenSoFar = 0
  /** Counted refusals could not be written. Until they are, no other event is accepted. */
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

  /** Returns the kind of an event, and the event reduced to the facts that its kind distinguishes. */
  function sort(event: SecurityEvent): { kind: Kind; reduced: SecurityEvent } {
    const key = keyOf(event)
    const reduced = kinds.has(key) || kinds.size < mostKinds ? event : withoutOrigin(event)
    return { kind: find(reduced === event ? key : keyOf(reduced)), reduced }
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
      const { kind, reduced } = sort(event)
      if (kind.counted === 0 && kind.written < most.ofKind && writtenSoFar < most.inAll) {
        record(event)
        kind.written++
        writtenSoFar++
        return
      }
      kind.since ??= event.time
      kind.last = reduced
      kind.counted++
    },
  }
}

/**
 * Refusals are equal if they agree in event, reason, token or grant, certificate and address. A token has an id here only if
 * this server issued it. So a client cannot make refusals differ with invented ids, nor with the addresses of its network.
 */
function keyOf({ event, reason, detail, status, jti, grant, 'x5t#S256': certificate, peer }: SecurityEvent): string {
  return JSON.stringify([event, reason, detail, status, jti, grant, certificate, peer && networkOf(peer)])
}

/** Removes the origin. There are as many of these kinds as there are reasons. */
function withoutOrigin({ time, event, outcome, reason, detail, status }: SecurityEvent): SecurityEvent {
  return { time, event, outcome, reason, detail, status }
}

/** Returns the /64 of an IPv6 address, since one host can use all of it. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = '', tail] = address.split('::')
  const groups = (part: string) => part.split(':').filter(group => group !== '')
  const [first, last] = [groups(head), groups(tail ?? '')]
  return [...first, ...Array(8 - first.length - last.length).fill('0'), ...last].slice(0, 4).join(':')
}
