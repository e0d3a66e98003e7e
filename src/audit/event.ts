// A security event as a value: what happened, how it ended, and the facts of it. Never a token, only its id; never a key.
// How it is written down: formats/. What follows from it (metrics, containment, webhooks, the page): whoever observes it.

import type { CameWith } from '../core/came-with.ts'

export const eventNames = [
  'token.issued',
  'token.refused',
  'token.revoked',
  'token.introspected',
  'token.leaked',
  'refresh.rotated',
  'refresh.reused',
  'client.refused',
  'client.changed',
  'connection.refused',
  'connection.closed',
  'theft.suspected',
  'notification.failed',
  'admin.refused',
  'key.rotated',
  'settings.unsafe',
] as const

export type EventName = (typeof eventNames)[number]

/** The members that events have, as far as each has them; docs/reference/events.md says which. */
export interface Facts {
  readonly reason?: string | undefined
  /** Why exactly, and what was compared (core/details.ts). */
  readonly detail?: string | undefined
  readonly facts?: object | undefined
  readonly client_id?: unknown
  readonly jti?: unknown
  readonly grant?: unknown
  /** Of a token that was refused: the certificate that it is bound to. `x5t#S256` is that of whoever came with it. */
  readonly bound_to?: string | undefined
  /** Of a token that was refused: the certificate that it came with, compared with that one. */
  readonly came_with?: CameWith | undefined
  readonly 'x5t#S256'?: string | undefined
  readonly bindings?: object | undefined
  readonly tls?: string | null | undefined
  readonly cipher?: string | undefined
  readonly resumed?: boolean | undefined
  readonly peer?: string | undefined
  readonly peer_port?: number | undefined
  readonly request_id?: string | undefined
  readonly method?: string | undefined
  readonly path?: string | undefined
  readonly status?: number | undefined
  /** How many equal refusals this event stands for, when it is more than one. */
  readonly count?: number | undefined
  /** When the first of them was; `time` is when the last was, and so are the facts in which they differ. */
  readonly since?: string | undefined
  readonly [fact: string]: unknown
}

export type Outcome = 'success' | 'refused' | 'unknown'

export interface SecurityEvent extends Facts {
  /** UTC, as RFC 3339 writes it. */
  readonly time: string
  readonly event: EventName
  readonly outcome: Outcome
}

/** Writes an event down, durably enough for its answer to be given. @throws Error when it cannot be. */
export type RecordEvent = (event: SecurityEvent) => void

/** Receives each event after it was written; must return at once. */
export type Observer = (event: SecurityEvent) => void
