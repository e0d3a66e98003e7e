// Builds the body of a notification: the facts of its event, as JSON of bounded size. Events contain only ids of tokens. A
// token in place of a name or a path is redacted.
import type { SecurityEvent } from '../audit/event.ts'

/** Characters of a text, members of an object, levels of nesting. */
const longest = 512
const most = 40
const deepest = 3

/** Characters of the body; a longer one is reduced to these facts. */
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

/** JWTs and PASETO, their beginnings, and the opaque tokens of this server. Ids and thumbprints have no dot. */
const tokens = /eyJ[\w-]{8,}\.[\w.-]*|v\d\.(?:public|local)\.[\w.-]*|tlsbound_[ar]t_\w*/g

/** `suppressed`: the number of equal events before it without a notification. */
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
