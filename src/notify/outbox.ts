// Notifications on their way into the store. Whoever makes one waits for nothing: it is in memory at once, and in the store as
// soon as that takes it.
import { ConflictError, type Notification, type Store } from '../store/store.ts'

/** How many wait in memory while the store does not answer. */
export const outboxLimit = 1000

export interface Outbox {
  /** False: there is no room. */
  put(notification: Notification): boolean
  /** Takes out what was delivered: the store had it, although its answer was lost, and must not get it again. */
  forget(id: string): void
  /** Hands over what is there. Resolves when that is done, or when the store has failed; the next call goes on. */
  flush(): Promise<void>
}

/** `refused` is told of those for whose receiver too many wait in the store. */
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

/** It was kept before, though the answer to that was lost. */
function orKnown(error: unknown): boolean {
  if (error instanceof ConflictError) return true
  throw error
}
