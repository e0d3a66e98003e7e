// Open Cybersecurity Schema Framework 1.5: each event as one of its classes (ocsf-classes.ts). Facts that OCSF lacks are
// below `unmapped`. Requirement N-65; schema.ocsf.io/1.5.0, docs/reference/events/ocsf.schema.json.
import { hash } from 'node:crypto'
import type { Outcome } from '../event.ts'
import type { Format } from '../recorder.ts'
import { classOf, isFinding } from './ocsf-classes.ts'
import { shapes } from './ocsf-shapes.ts'

const statuses: Readonly<Record<Outcome, number>> = { unknown: 0, success: 1, refused: 2 }

/** The status of a finding is the state of its investigation. */
const newFinding = 1

export const ocsf: Format = (event, chain) => {
  const { time, event: name, outcome, reason, status, count, since, ...facts } = event
  const { uid: class_uid, activity, severity } = classOf(event)
  const [activity_id, activity_name] = typeof activity === 'string' ? [99, activity] : [activity]
  // Unique, since no two lines follow the same line.
  const uid = hash('sha256', JSON.stringify([event, chain]), 'base64url')
  const { members, unmapped } = shapes[class_uid](facts, name, uid)
  return {
    class_uid,
    category_uid: Math.floor(class_uid / 1000),
    activity_id,
    activity_name,
    type_uid: class_uid * 100 + activity_id,
    severity_id: severity,
    status_id: isFinding(class_uid) ? newFinding : statuses[outcome],
    status_code: status === undefined ? undefined : String(status),
    status_detail: reason,
    time: Date.parse((since ?? time) as string),
    count,
    ...(since !== undefined && { start_time: Date.parse(since as string), end_time: Date.parse(time) }),
    metadata: {
      version: '1.5.0',
      product: { name: 'tlsbound', vendor_name: 'tlsbound' },
      uid,
      event_code: name,
      log_name: 'audit',
    },
    ...members,
    unmapped: { ...unmapped, ...(isFinding(class_uid) && { outcome }), chain },
  }
}
