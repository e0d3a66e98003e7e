// Sends notifications: an observer selects the events that receivers subscribe to. They are stored, then sent. No decision
// waits for a notification or fails because of one.
import { randomBytes } from 'node:crypto'
import type { Observer, SecurityEvent } from '../audit/event.ts'
import { guarded } from '../core/guard.ts'
import type { Notification } from '../store/store.ts'
import { buildBody } from './body.ts'
import { type KnownReceiver, type Line, type Lines, replaceReceivers } from './line.ts'
import { createOutbox } from './outbox.ts'
import { lifetime } from './retry.ts'
import { createSender, factsOf, type SenderParts } from './sender.ts'

/** Milliseconds between two polls for due notifications. */
const interval = 1000

export interface Notifier {
  readonly observe: Observer
  /** Replaces all receivers. A receiver that answered 410 is tried again. */
  replace(receivers: readonly KnownReceiver[]): void
  /** Sends all due notifications immediately. Resolves when none is being sent. */
  poll(): Promise<void>
  /** Aborts deliveries. Undelivered notifications stay in the store, for the next start. */
  close(): Promise<void>
}

/** Reports an error unless it equals the one before: an unreachable store fails every second. */
function onceForEach(onError: SenderParts['onError'] = () => {}): (error: Error) => void {
  let last = ''
  return error => {
    if (error.message === last) return
    last = error.message
    onError(error)
  }
}

/** Creates a notifier of these receivers. Its timer does not keep the process running. */
export function createNotifier(receivers: readonly KnownReceiver[], parts: SenderParts): Notifier {
  const { store, clock, report } = parts
  const lines: Lines = new Map()
  replaceReceivers(lines, receivers, clock)
  const outbox = createOutbox(store, notification => lose('spool_full', notification))
  const sender = createSender(parts, lines, outbox.forget)
  const fail = onceForEach(parts.onError)
  const timer = setInterval(guarded(poll, fail), interval)
  timer.unref()

  /** Never rejects: failures are retried at the next poll. */
  async function poll(): Promise<void> {
    try {
      await outbox.flush()
      await sender.poll()
    } catch (error) {
      fail(error as Error)
    }
  }

  function lose(reason: string, { id, receiver, body }: Notification): void {
    report({ reason, receiver: lines.get(receiver)?.receiver.url.host, notification: id, ...factsOf(body) })
  }

  function notify(line: Line, event: SecurityEvent): boolean {
    const { receiver, isGone, damper } = line
    if (isGone || !receiver.events.has(event.event)) return false
    if (receiver.clientId !== undefined && receiver.clientId !== event.client_id) return false
    const suppressed = damper(event)
    if (suppressed === undefined) return false
    const now = clock()
    const notification = {
      id: `msg_${randomBytes(18).toString('base64url')}`,
      receiver: receiver.key,
      body: buildBody(event, suppressed),
      due: now,
      expires: Math.floor(now / 1000) + lifetime,
    }
    const hasRoom = outbox.put(notification)
    if (!hasRoom) lose('store_unavailable', notification)
    return hasRoom
  }

  return {
    observe(event) {
      try {
        const notified = [...lines.values()].map(line => notify(line, event))
        if (notified.includes(true)) void poll()
      } catch (error) {
        fail(error as Error) // an error here must not fail the decision
        report({ reason: 'event_malformed', type: event.event })
      }
    },
    replace: others => replaceReceivers(lines, others, clock),
    poll,
    async close() {
      clearInterval(timer)
      await outbox.flush()
      await sender.close()
    },
  }
}
