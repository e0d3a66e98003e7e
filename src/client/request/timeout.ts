// Limits how long a request waits for a connection and a token in total, until it is sent.
import { guarded } from '../../core/guard.ts'

export interface Timeout {
  /**
   * Starts a wait, which lasts until the returned function is called, the caller cancels, or the time is over.
   * `leave` cancels what is waited for; `why` returns the cause of the delay.
   */
  wait(leave: () => void, why?: () => Error | undefined): () => void
  /** Starts the time anew, after the request was sent. */
  renew(): void
  /** Cancels the wait for the caller. */
  leave(): void
}

/** Creates a timeout. `onOver` is called after `milliseconds` of waiting, with the cause of the delay. */
export function createTimeout(milliseconds: number, onOver: (why: Error | undefined) => void): Timeout {
  let since: number | undefined
  let leaveNow: (() => void) | undefined
  return {
    wait(leave, why = () => undefined) {
      const now = performance.now()
      since ??= now
      const stop = () => {
        clearTimeout(timer)
        leaveNow = undefined
      }
      leaveNow = () => {
        stop()
        leave()
      }
      const end = () => {
        leaveNow?.()
        onOver(why())
      }
      const timer = setTimeout(guarded(end, onOver), since + milliseconds - now)
      return stop
    },
    renew() {
      since = undefined
    },
    leave: () => leaveNow?.(),
  }
}
