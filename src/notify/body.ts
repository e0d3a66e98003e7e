// What a notification says: the facts of its event, as JSON of a bounded size. Events name tokens by their ids only; should
// somebody have put a token where a name or a path belongs, it does not leave the house by us.
import type { SecurityEvent } from '../audit/event.ts'

/** Characters of one text, members of one object, objects in each other. */
const longest = 512
const most = 40
const deepest = 3

/** Characters of the whole; beyond it only these facts are told. */
const largest = 16_384
const essential = [
  'outcome',
  'client_id',
  'jti',
  'grant',
  'reason',
  'signal',
  'response',
  'x5t#S256',
  'peer',
  'suppressed',
]

/** JWTs, or their beginnings, and our own opaque tokens. An id or a thumbprint has no dot. */
const tokens = /eyJ[\w-]{8,}\.[\w.-]*|tlsbound_[ar]t_\w*/g

/** `suppressed`: how many equal events before it were not notified of. */
export function buildBody({ event, time, ...facts }: SecurityEvent, suppressed: number): string {
  const data = bound({ ...(suppressed > 0 && { suppressed }), ...facts }, deepest) as Record<string, unknown>
  const body = JSON.stringify({ type: event, timestamp: time, data })
  if (body.length <= largest) return body
  return JSON.stringify({ type: event, timestamp: time, data: pick(data) })
}

function bound(value: unknown, depth: number): unknown {
  if (typeof value === 'string')
    return value
      .slice(0, 4 * longest)
      .replace(tokens, '(token)')
      .slice(0, longest)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (typeof value !== 'object' || depth === 0) return undefined
  if (Array.isArray(value)) return value.slice(0, most).map(entry => bound(entry, depth - 1))
  const entries = Object.entries(value).slice(0, most)
  return Object.fromEntries(entries.map(([name, entry]) => [bound(name, 1), bound(entry, depth - 1)]))
}

function pick(data: Readonly<Record<string, unknown>>): object {
  const isShort = (value: unknown) => typeof value !== 'object'
  return Object.fromEntries(essential.filter(name => isShort(data[name])).map(name => [name, data[name]]))
}
