// The latest refusals and suspected thefts, for the live page. Equal ones are one entry with a count, so that a flood does
// not hide other events or cost more memory.
import type { SecurityEvent } from '../audit/event.ts'
import { describeForClient, detailOf, type RefusalFacts } from '../core/details.ts'
import { type Reason, reasons } from '../core/errors.ts'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { redactTokens } from '../core/leak-report.ts'
import type { Audit } from '../server/record-events.ts'

/** Maximum number of entries of each kind. The one that occurred least recently is dropped first. */
const maximumEntries = 100

/** Maximum characters of a text that a client chose. */
const longest = 120

/** Events of one kind. Events are equal if event, reason, client and address are. */
export interface Latest {
  /** Number of these events since the server started. */
  count(): number
  /** Returns the entries that changed after the first `seen` events, in the form of the page, oldest first. */
  since(seen: number): object[]
}

interface Entry {
  /** The number of its first event; identifies it on the page. */
  readonly id: number
  /** The number of its latest event. */
  number: number
  count: number
  latest: SecurityEvent
}

/** Collects the events that match `isOne`, from now on. */
function collect(audit: Pick<Audit, 'observe'>, isOne: (event: SecurityEvent) => boolean): Latest {
  const entries = new Map<string, Entry>() // ordered by their latest event
  let number = 0
  audit.observe(event => {
    if (!isOne(event)) return
    number++
    const key = JSON.stringify([event.event, event.reason, event.client_id, event.peer])
    const { id, count } = entries.get(key) ?? { id: number, count: 0 }
    entries.delete(key)
    entries.set(key, { id, number, count: count + 1, latest: event })
    if (entries.size > maximumEntries) entries.delete(entries.keys().next().value as string)
  })
  return {
    count: () => number,
    since: seen => [...entries.values()].filter(entry => entry.number > seen).map(describe),
  }
}

/** Collects the refusals of both listeners. */
export function collectRefusals(audit: Pick<Audit, 'observe'>): Latest {
  return collect(audit, ({ event, outcome }) => outcome === 'refused' && event !== 'notification.failed')
}

/** Collects the suspected thefts. */
export function collectThefts(audit: Pick<Audit, 'observe'>): Latest {
  return collect(audit, ({ event }) => event === 'theft.suspected')
}

function describe({ id, count, latest }: Entry): object {
  const { time, event, reason = 'refresh_reused', detail = '', status, method, path, peer, peer_port } = latest
  return {
    id,
    count,
    time,
    event,
    reason,
    detail,
    sentence: event === 'admin.refused' ? explainDetail(latest) : explainReason(reason as Reason, detail),
    status,
    client: readable(latest.client_id),
    token: readable(latest.jti),
    peer: peer && `${peer}:${peer_port}`,
    request: readable(path && `${method} ${path}`),
    suspicion: latest.suspicion,
    response: latest.response,
  }
}

/** Explains a refusal by its reason, or by its detail where the sentence of the reason is false. */
function explainReason(reason: Reason, detail: string): string {
  return detailOf(reason, detail)?.sentence ?? reasons[reason] ?? ''
}

/** Explains a refusal of the ops listener by its detail, since the sentences in `reasons` are about client tokens. */
function explainDetail({ reason, detail = '', facts }: SecurityEvent): string {
  const told = describeForClient(reason as Reason, detail, (facts ?? {}) as RefusalFacts)
  return told ?? detailOf(reason as Reason, detail).cause.replace(/ ?\{\w+\}/g, '')
}

/**
 * Returns text that a client chose in a form that the page may show as text: shortened, without possible tokens, and with
 * control characters as codes. Undefined: it is not a string.
 */
export function readable(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const harmless = escapeForDisplay(redactTokens(text.slice(0, 4 * longest)))
  return harmless.length > longest ? `${harmless.slice(0, longest - 1)}…` : harmless
}
