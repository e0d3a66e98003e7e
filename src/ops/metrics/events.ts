// Counts security events: a table of counters, each with its events and the closed lists of its labels. An observer
// receives every event, including those that a flood keeps from being written one by one.
import { Counter, type Registry } from 'prom-client'
import { type EventName, eventNames, type Observer, type SecurityEvent } from '../../audit/event.ts'
import { theftResponses } from '../../core/client.ts'
import { tokenBindings } from '../../core/confirmation.ts'
import { revocationKinds } from '../../core/revocations.ts'
import { supportedGrants } from '../../server/routes/token.ts'
import { among, isOfAuthorizationServer, reasonNames } from './checks.ts'

interface Label {
  readonly values: readonly string[]
  readonly read: (event: SecurityEvent) => unknown
}

interface EventCounter {
  readonly name: string
  readonly help: string
  readonly on: readonly EventName[]
  readonly where?: (event: SecurityEvent) => boolean
  readonly labels: Readonly<Record<string, Label>>
}

const reason: Label = { values: reasonNames, read: event => event.reason }

const counters: readonly EventCounter[] = [
  {
    name: 'tlsbound_events_total',
    help: 'Security events of each kind.',
    on: eventNames,
    labels: { event: { values: eventNames, read: ({ event }) => event } },
  },
  {
    name: 'tlsbound_oauth_refusals_total',
    help: 'Requests that the OAuth endpoints refused.',
    on: ['token.refused', 'client.refused'],
    where: isOfAuthorizationServer,
    labels: { reason },
  },
  {
    name: 'tlsbound_admin_refusals_total',
    help: 'Requests that the ops listener refused.',
    on: ['admin.refused'],
    labels: { reason },
  },
  {
    name: 'tlsbound_connections_refused_total',
    help: 'Connections that were dropped without an HTTP answer, or for octets that are no request.',
    on: ['connection.refused'],
    labels: { reason },
  },
  {
    name: 'tlsbound_connections_ended_total',
    help: 'Live connections that the server closed because their client may no longer act.',
    on: ['connection.closed'],
    labels: { reason },
  },
  {
    name: 'tlsbound_tokens_issued_total',
    help: 'Access tokens issued.',
    on: ['token.issued'],
    labels: {
      level: { values: tokenBindings, read: event => event.token_binding },
      grant_type: { values: supportedGrants, read: event => event.grant_type },
    },
  },
  {
    name: 'tlsbound_refreshes_total',
    help: 'Refresh tokens used; retried: with the same successor again; reused: refused, too late or after their successor was used.',
    on: ['refresh.rotated', 'refresh.reused'],
    labels: {
      how: {
        values: ['rotated', 'retried', 'static', 'reused'],
        read: ({ event, how }) => (event === 'refresh.reused' ? 'reused' : how),
      },
    },
  },
  {
    name: 'tlsbound_introspections_total',
    help: 'Introspections answered.',
    on: ['token.introspected'],
    labels: { active: { values: ['true', 'false'], read: event => String(event.active) } },
  },
  {
    name: 'tlsbound_revocations_total',
    help: 'Revocations, by what they revoke.',
    on: ['token.revoked'],
    labels: { kind: { values: revocationKinds, read: event => event.kind } },
  },
  {
    name: 'tlsbound_theft_signals_total',
    help: 'Valid tokens presented by the wrong party, by certainty and by response.',
    on: ['theft.suspected'],
    labels: {
      suspicion: { values: ['possible', 'certain'], read: event => event.suspicion },
      response: { values: theftResponses, read: event => event.response },
    },
  },
  {
    name: 'tlsbound_leaks_total',
    help: 'Tokens reported as leaked, and revoked.',
    on: ['token.leaked'],
    labels: { kind: { values: ['access_token', 'refresh_token'], read: event => event.kind } },
  },
  {
    name: 'tlsbound_notifications_failed_total',
    help: 'Notifications that could not be delivered, and are not retried any more.',
    on: ['notification.failed'],
    labels: {},
  },
]

/** Registers the counters. Returns the observer that counts. */
export function countEvents(registry: Registry): Observer {
  const counting = new Map<EventName, ((event: SecurityEvent) => void)[]>()
  for (const { name, help, on, where, labels } of counters) {
    const counter = new Counter({ name, help, labelNames: Object.keys(labels), registers: [registry] })
    startAtZero(counter, labels)
    const entries = Object.entries(labels)
    const count = (event: SecurityEvent) => {
      if (where?.(event) === false) return
      const values: Record<string, string> = {}
      for (const [label, { values: known, read }] of entries) values[label] = among(known, read(event))
      counter.inc(values)
    }
    for (const event of on) counting.set(event, [...(counting.get(event) ?? []), count])
  }
  return event => {
    for (const count of counting.get(event.event) ?? []) count(event)
  }
}

/**
 * Creates series at zero for alerts: Prometheus sees no increase if a series did not exist before. Reasons are too many and
 * have no alerts.
 */
function startAtZero(counter: Counter, labels: EventCounter['labels']): void {
  const entries = Object.entries(labels)
  if (entries.some(([, label]) => label === reason)) return
  const combine = (rest: typeof entries, chosen: Record<string, string>): void => {
    const [first, ...others] = rest
    if (first === undefined) counter.inc(chosen, 0)
    else for (const value of first[1].values) combine(others, { ...chosen, [first[0]]: value })
  }
  combine(entries, {})
}
