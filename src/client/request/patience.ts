// How long a request waits for a connection and a token: all its waiting together, until it is sent.
import { guarded } from '../../core/guard.ts'

export interface Patience {
  /**
   * Waits until what it returns is called, the caller gives up, or patience is over. `leave` stops what is waited for;
   * `why` says at the end what it was that did not come.
   */
  wait(leave: () => void, why?: () => Error | undefined): () => void
  /** It was sent: should it have to wait again, it may do so as long again. */
  renew(): void
  /** The caller gives up. */
  leave(): void
}

/** `onOver` is called when `milliseconds` are over, with the reason for the wait. */
export function createPatience(milliseconds: number, onOver: (why: Error | undefined) => void): Patience {
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
