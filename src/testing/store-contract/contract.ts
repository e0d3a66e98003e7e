// What the parts of the store contract share.
import type { Change, Notification, Store } from '../../store/store.ts'
import type { Assertions } from './assertions.ts'

/** Adds the promises of one part. Generic, because the context of a test is that of its runner. */
export type AddPromises = <Context>(promise: AddPromise<Context>, open: OpenStores<Context>) => void

type AddPromise<Context> = (title: string, check: (t: Assertions<Context>) => Promise<void>) => void

/**
 * Opens two stores that share one new, empty state: two servers, as far as the kind of store allows that. `context` is what the
 * test runner gives a test, so that it can close them afterwards.
 */
export type OpenStores<Context> = (context: Context) => Promise<readonly [Store, Store, Time]>

/** The time for uses of refresh tokens, by whichever clock decides: the callers' times, and how time passes. */
export interface Time {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Lets milliseconds pass. */
  pass(milliseconds: number): Promise<void>
}

/** What a store that does not answer rejects with. */
export const unavailable = { name: 'OAuthError', code: 'temporarily_unavailable', reason: 'store_unavailable' }

/** Milliseconds since 1970: a time within the lifetime of `grant`. */
export const start = 2_000_000

/**
 * Creates the time of a test. `age` makes all uses so far so many milliseconds older, where the store notes them by a clock of
 * its own.
 */
export function createTime(age: (milliseconds: number) => Promise<void> = async () => {}): Time {
  let now = start
  return {
    get now() {
      return now
    },
    async pass(milliseconds) {
      now += milliseconds
      await age(milliseconds)
    },
  }
}

/** Seconds since 1970. */
export const forever = 1_000_000

export function notification(id: string, other: Partial<Notification> = {}): Notification {
  return { id, receiver: 'receiver', body: JSON.stringify({ id }), due: 30, expires: 3000, ...other }
}

/** Follows a store, and waits for changes without sleeping. */
export async function listen(store: Store, since?: number) {
  const heard: Change[] = []
  let wake = () => {}
  const stop = await store.follow(change => {
    heard.push(change)
    wake()
  }, since)
  return {
    heard,
    stop,
    /** Resolves with the milliseconds until `find` matches. Rejects after `limit`. */
    async until(find: (change: Change) => boolean, limit = 5000): Promise<number> {
      const begin = performance.now()
      while (!heard.some(find)) {
        const left = begin + limit - performance.now()
        if (left <= 0) throw new Error(`no such change within ${limit} ms`)
        await new Promise<void>(resolve => {
          wake = resolve
          setTimeout(resolve, left).unref()
        })
      }
      return performance.now() - begin
    },
  }
}

/** Waits until a condition holds. Rejects after ten seconds. */
export async function until(isTrue: () => boolean): Promise<void> {
  const begin = performance.now()
  while (!isTrue()) {
    if (performance.now() - begin > 10_000) throw new Error('the store has not notified its listener within 10 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
