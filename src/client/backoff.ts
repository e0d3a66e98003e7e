// How long to wait before something is tried again: exponentially longer, with full jitter, or as the server says.
// Full jitter spreads many clients whose server has just come back (RFC 9110 §10.2.3 for Retry-After).

/** Milliseconds. */
const base = 100
const cap = 5000

/** The longest time that a server's Retry-After is waited for, in milliseconds; beyond it the caller gets the answer. */
export const longestRetryAfter = 10_000

/** A random time up to base × 2^failures, at most `atMost`, in milliseconds. */
export function jitter(failures: number, atMost = cap): number {
  return Math.random() * Math.min(atMost, base * 2 ** failures)
}

/**
 * The longest wait after a refusal of our certificate, in milliseconds: a server that was repaired is found so soon, and
 * requests wait for that long.
 */
export const refusalWait = 1000

/** Remembers failures in a row, and until when to wait because of them. */
export interface Backoff {
  /** Milliseconds that are left to wait; 0: go on. */
  readonly left: number
  /** Waits at least `atLeast` milliseconds, where the server says so, and beyond that at most `atMost`. */
  failed(atLeast?: number, atMost?: number): void
  succeeded(): void
}

export function createBackoff(): Backoff {
  let failures = 0
  let until = 0
  return {
    get left() {
      return until === 0 ? 0 : Math.max(0, until - performance.now())
    },
    failed(atLeast = 0, atMost = cap) {
      until = performance.now() + atLeast + jitter(failures, atMost)
      failures += 1
    },
    succeeded() {
      failures = 0
      until = 0
    },
  }
}

/** What a Retry-After header asks for, in milliseconds: seconds, or a date by the server's own clock (`date` header). */
export function readRetryAfter(value: unknown, date: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined
  const until = Date.parse(value)
  const now = typeof date === 'string' ? Date.parse(date) : Number.NaN
  const wait = until - (Number.isNaN(now) ? Date.now() : now)
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}
