// Sends due notifications, a few at a time for each receiver, so that a slow receiver does not delay the others.
// Notifications claimed by a server that ends become due again. So each one arrives at least once, with the same id.
import type { Facts } from '../audit/event.ts'
import type { SpooledNotification, Store } from '../store/store.ts'
import { type Delivery, deliver } from './deliver.ts'
import { isResting, type Line, type Lines } from './line.ts'
import { nextDelay, restOf } from './retry.ts'

/** Notifications that are sent to one receiver at the same time. */
const atOnce = 4

/** Milliseconds for which a claim is exclusive: longer than an attempt, by more than clocks differ. */
export const lease = 60_000

/** Milliseconds that a delivery may take, with its response. */
export const deliveryTimeout = 10_000

export interface SenderParts {
  readonly store: Store
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Receives each notification that is given up, and each receiver that answered 410. Must not throw. */
  readonly report: (facts: Facts) => void
  /** Receives errors that concern no single notification: of the store, or unexpected. Default: none. */
  readonly onError?: ((error: Error) => void) | undefined
  /** Milliseconds that a receiver has to respond. Default 10 000. */
  readonly timeout?: number
}

export interface Sender {
  /** Sends all due notifications. Resolves when none is being sent; rejects when the store fails. The next call continues. */
  poll(): Promise<void>
  /** Aborts deliveries; their notifications are due again immediately. */
  close(): Promise<void>
}

export function createSender(
  { store, clock, report, timeout = deliveryTimeout }: SenderParts,
  lines: Lines,
  onDelivered: (id: string) => void = () => {},
): Sender {
  const ending = new AbortController()
  const underWay = new Set<Promise<void>>()

  async function poll(): Promise<void> {
    if (ending.signal.aborted || lines.size === 0) return
    const due = await store.findDueReceivers(clock())
    await Promise.all(due.map(key => lines.get(key)).map(line => line && fill(line)))
    while (underWay.size > 0) await Promise.allSettled(underWay)
  }

  async function fill(line: Line): Promise<void> {
    const turn = line.claiming.catch(() => {}).then(() => claim(line))
    line.claiming = turn
    const claimed = await turn
    await Promise.all(claimed.map(notification => watch(send(line, notification))))
    if (claimed.length > 0) await fill(line)
  }

  async function claim(line: Line): Promise<readonly SpooledNotification[]> {
    const now = clock()
    const limit = atOnce - line.underWay
    const isListed = lines.get(line.receiver.key) === line
    if (ending.signal.aborted || !isListed || line.isGone || limit <= 0 || isResting(line, now)) return []
    const claimed = await store.claimNotifications(line.receiver.key, { now, until: now + lease, limit })
    line.underWay += claimed.length
    return claimed
  }

  async function send(line: Line, notification: SpooledNotification): Promise<void> {
    const attempt = { timestamp: Math.floor(clock() / 1000), timeout, signal: ending.signal }
    const delivery = await deliver(line.receiver, notification, attempt).finally(() => line.underWay--)
    await settle(line, notification, delivery)
  }

  async function settle(line: Line, { id, body, attempts }: SpooledNotification, delivery: Delivery): Promise<void> {
    const { outcome } = delivery
    if (outcome === 'done') {
      onDelivered(id)
      return store.removeNotification(id)
    }
    if (ending.signal.aborted) return store.postponeNotification(id, attempts, clock())
    const { problem, retryAfter } = delivery
    line.rest = { since: clock(), length: restOf(retryAfter) }
    const reportLoss = (reason: string) =>
      report({ reason, receiver: line.receiver.url.host, notification: id, ...factsOf(body), attempts, problem })
    if (outcome === 'gone' && !line.isGone) {
      line.isGone = true
      reportLoss('receiver_gone')
    }
    const delay = outcome === 'internal' ? undefined : nextDelay(attempts, retryAfter)
    if (delay !== undefined) return store.postponeNotification(id, attempts, Math.ceil(clock() + delay))
    reportLoss(outcome === 'internal' ? 'receiver_internal' : 'given_up')
    await store.removeNotification(id)
  }

  function watch(sending: Promise<void>): Promise<void> {
    underWay.add(sending)
    return sending.finally(() => underWay.delete(sending))
  }

  return {
    poll,
    async close() {
      ending.abort()
      await Promise.allSettled([...lines.values()].map(({ claiming }) => claiming))
      await Promise.allSettled(underWay)
    },
  }
}

/** Returns the facts of a notification, for the event of its failure. */
export function factsOf(body: string): Facts {
  const { type, data } = JSON.parse(body) as { type: string; data: { client_id?: unknown; jti?: unknown } }
  return { type, client_id: data.client_id, jti: data.jti }
}
