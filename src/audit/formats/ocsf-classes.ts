// The OCSF class, activity and severity of each event.
import type { EventName, SecurityEvent } from '../event.ts'

/** Base Event, Detection Finding, Authentication, Network Activity, API Activity. */
export type ClassUid = 0 | 2004 | 3002 | 4001 | 6003

export interface Class {
  readonly uid: ClassUid
  /** The number of the activity in the class; a name if the class has no number for it. */
  readonly activity: number | string
  readonly severity: number
}

/** severity_id. */
const [informational, low, medium, high] = [1, 2, 3, 4]

const logon = { uid: 3002, activity: 1 } as const
const finding = { uid: 2004, activity: 1, severity: high } as const

const classes: Readonly<Record<EventName, Class | ((event: SecurityEvent) => Class)>> = {
  'token.issued': { ...logon, severity: informational },
  'token.refused': ({ path, method }) =>
    path === '/oauth/token' ? { ...logon, severity: low } : { uid: 6003, activity: byMethod(method), severity: low },
  'token.revoked': { uid: 3002, activity: 2, severity: informational },
  'token.introspected': { uid: 6003, activity: 2, severity: informational },
  'token.leaked': finding,
  'refresh.rotated': { uid: 3002, activity: 'Refresh', severity: informational },
  'refresh.rebound': { uid: 3002, activity: 'Rebind', severity: informational },
  'refresh.reused': finding,
  'client.refused': { ...logon, severity: low },
  'client.changed': ({ change }) => ({ uid: 6003, activity: byChange(change), severity: informational }),
  'connection.refused': { uid: 4001, activity: 5, severity: low },
  'connection.closed': { uid: 4001, activity: 2, severity: informational },
  'theft.suspected': finding,
  'proxy.suspected': { ...finding, severity: medium },
  'notification.failed': { uid: 0, activity: 'Notify', severity: medium },
  'admin.refused': ({ method }) => ({ uid: 6003, activity: byMethod(method), severity: medium }),
  'key.rotated': { uid: 0, activity: 'Rotate Key', severity: informational },
  'settings.unsafe': { uid: 0, activity: 'Start Unsafely', severity: medium },
  'worker.changed': ({ change }) => ({
    uid: 0,
    activity: 'Change Worker',
    severity: change === 'crashed' ? medium : informational,
  }),
}

/** Returns the class of an event. */
export function classOf(event: SecurityEvent): Class {
  const entry = classes[event.event]
  return typeof entry === 'function' ? entry(event) : entry
}

export function isFinding(uid: ClassUid): boolean {
  return uid === 2004
}

const [create, read, update, remove] = [1, 2, 3, 4]
const methods = new Map([
  ['POST', create],
  ['GET', read],
  ['HEAD', read],
  ['PUT', update],
  ['PATCH', update],
  ['DELETE', remove],
])

function byMethod(method = 'Other'): number | string {
  return methods.get(method) ?? method
}

function byChange(change: unknown): number {
  if (change === 'added') return create
  return change === 'removed' ? remove : update
}
