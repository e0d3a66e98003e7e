// A security event as a value: what happened, its outcome and its facts. It contains the ids of tokens, never a token or a
// key. `formats/` serializes events. Observers derive metrics, containment, webhooks and the live page from them.

import type { CameWith } from '../core/came-with.ts'

export const eventNames = [
  'token.issued',
  'token.refused',
  'token.revoked',
  'token.introspected',
  'token.leaked',
  'refresh.rotated',
  'refresh.rebound',
  'refresh.reused',
  'client.refused',
  'client.changed',
  'connection.refused',
  'connection.closed',
  'theft.suspected',
  'proxy.suspected',
  'notification.failed',
  'admin.refused',
  'key.rotated',
  'settings.unsafe',
  'worker.changed',
] as const

export type EventName = (typeof eventNames)[number]

/** The members of events; docs/reference/events.md lists the members of each event. */
export interface Facts {
  readonly reason?: string | undefined
  /** The exact cause, and the values that were compared (core/details.ts). */
  readonly detail?: string | undefined
  readonly facts?: object | undefined
  readonly client_id?: unknown
  readonly jti?: unknown
  readonly grant?: unknown
  /** The certificate that a refused token is bound to. `x5t#S256` is the certificate of the client that presented it. */
  readonly bound_to?: string | undefined
  /** The certificate that a grant was bound to before `bound_to`. */
  readonly bound_before?: string | undefined
  /** Compares the certificate that presented a refused token with the certificate in `bound_to`. */
  readonly came_with?: CameWith | undefined
  readonly 'x5t#S256'?: string | undefined
  readonly bindings?: object | undefined
  /** The request arrived through a proxy that ended TLS: `x5t#S256` is the certificate that it stated, `peer` its address. */
  readonly attested?: 'proxy' | undefined
  readonly tls?: string | null | undefined
  readonly cipher?: string | undefined
  readonly resumed?: boolean | undefined
  readonly peer?: string | undefined
  readonly peer_port?: number | undefined
  readonly request_id?: string | undefined
  readonly method?: string | undefined
  readonly path?: string | undefined
  readonly status?: number | undefined
  /** The number of equal refusals that this event summarizes, if more than one. */
  readonly count?: number | undefined
  /** Time of the first of them. `time`, and every fact in which they differ, is that of the last one. */
  readonly since?: string | undefined
  readonly [fact: string]: unknown
}

export type Outcome = 'success' | 'refused' | 'unknown'

export interface SecurityEvent extends Facts {
  /** UTC, in RFC 3339 format. */
  readonly time: string
  readonly event: EventName
  readonly outcome: Outcome
}

/** Writes an event durably before its response is sent. @throws Error when it cannot be written. */
export type RecordEvent = (event: SecurityEvent) => void

/** Receives each event after it was written; must return immediately. */
export type Observer = (event: SecurityEvent) => void
