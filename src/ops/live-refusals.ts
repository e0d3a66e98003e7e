// The latest refusals and suspected thefts, for the live page. Equal ones are one entry with a count, so that a flood neither
// hides what else happens nor costs more than its count.
import type { SecurityEvent } from '../audit/event.ts'
import { describeForClient, detailOf, type RefusalFacts } from '../core/details.ts'
import { type Reason, reasons } from '../core/errors.ts'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { redactTokens } from '../core/leak-report.ts'
import type { Audit } from '../server/record-events.ts'

/** Entries of each kind; the one that did not happen for the longest time makes room. */
const maximumEntries = 100

/** Characters of a text that a client has chosen. */
const longest = 120

/** Events of one kind. Equal are those with the same event, reason, client and address. */
export interface Latest {
  /** How many there were since the server started. */
  count(): number
  /** The entries that have changed after the first `seen` events, as the page shows them, oldest first. */
  since(seen: number): object[]
}

interface Entry {
  /** The number of its first event, by which the page knows it. */
  readonly id: number
  /** The number of its latest event. */
  number: number
  count: number
  latest: SecurityEvent
}

/** Collects the events for which `isOne` holds, from now on. */
function collect(audit: Pick<Audit, 'observe'>, isOne: (event: SecurityEvent) => boolean): Latest {
  const entries = new Map<string, Entry>() // in the order in which they happened last
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
    sentence: event === 'admin.refused' ? explainDetail(latest) : (reasons[reason as Reason] ?? ''),
    status,
    client: readable(latest.client_id),
    token: readable(latest.jti),
    peer: peer && `${peer}:${peer_port}`,
    request: readable(path && `${method} ${path}`),
    suspicion: latest.suspicion,
    response: latest.response,
  }
}

/** Explains a refusal of the ops listener by its detail, since the sentences of reasons are about tokens of clients. */
function explainDetail({ reason, detail = '', facts }: SecurityEvent): string {
  const told = describeForClient(reason as Reason, detail, (facts ?? {}) as RefusalFacts)
  return told ?? detailOf(reason as Reason, detail).cause.replace(/ ?\{\w+\}/g, '')
}

/**
 * Returns text that a client has chosen as the page may show it: short, without what could be a token, and with what could
 * steer the text beside it as its code. The page shows it as text. undefined: it is no text.
 */
export function readable(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const harmless = escapeForDisplay(redactTokens(text.slice(0, 4 * longest)))
  return harmless.length > longest ? `${harmless.slice(0, longest - 1)}…` : harmless
}
