// Notifications that are not stored yet. The caller does not wait: they are in memory immediately, and in the store as soon
// as it accepts them.
import { ConflictError, type Notification, type Store } from '../store/store.ts'

/** Notifications in memory while the store does not respond. */
export const outboxLimit = 1000

export interface Outbox {
  /** Adds a notification; returns false if there is no room. */
  put(notification: Notification): boolean
  /** Removes a delivered notification: the store had it although its response was lost, and must not get it again. */
  forget(id: string): void
  /** Stores the waiting notifications. Resolves when they are stored, or when the store fails; the next call continues. */
  flush(): Promise<void>
}

/** `refused` receives each notification that the store rejects because too many wait for its receiver. */
export function createOutbox(
  store: Pick<Store, 'spoolNotification'>,
  refused: (notification: Notification) => void,
): Outbox {
  const waiting: Notification[] = []
  let flushing: Promise<void> | undefined

  async function flush(): Promise<void> {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (!(await store.spoolNotification(next).catch(orKnown))) refused(next)
      remove(next.id)
    }
  }

  function remove(id: string): void {
    const index = waiting.findIndex(notification => notification.id === id)
    if (index !== -1) waiting.splice(index, 1)
  }

  return {
    forget: remove,
    put: notification => waiting.length < outboxLimit && waiting.push(notification) > 0,
    flush() {
      flushing ??= flush()
        .catch(() => {})
        .finally(() => {
          flushing = undefined
        })
      return flushing
    },
  }
}

/** A conflict means that it is stored already, and that the response was lost. */
function orKnown(error: unknown): boolean {
  if (error instanceof ConflictError) return true
  throw error
}
