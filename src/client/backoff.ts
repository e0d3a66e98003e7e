// How long to wait before a retry: exponential backoff with full jitter, or the server's Retry-After (RFC 9110
// §10.2.3). Full jitter spreads the reconnects of many clients after a server restart.

const base = 100
const cap = 5000

/** The longest Retry-After that a client waits for, in milliseconds; beyond it the caller gets the response. */
export const longestRetryAfter = 10_000

/** Returns a random time up to base × 2^failures, at most `atMost`, in milliseconds. */
export function jitter(failures: number, atMost = cap): number {
  return Math.random() * Math.min(atMost, base * 2 ** failures)
}

/**
 * The longest wait after the server rejected the certificate, in milliseconds. Requests wait that long, so it is short.
 */
export const refusalWait = 1000

/** Counts consecutive failures, and how long to wait because of them. */
export interface Backoff {
  /** Milliseconds left to wait; 0 when a retry is due. */
  readonly left: number
  /** Waits `atLeast` milliseconds, as the server demands, plus a random time of at most `atMost`. */
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

/** Parses Retry-After into milliseconds. A date is relative to the server's clock (its `date` header). */
export function readRetryAfter(value: unknown, date: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined
  const until = Date.parse(value)
  const now = typeof date === 'string' ? Date.parse(date) : Number.NaN
  const wait = until - (Number.isNaN(now) ? Date.now() : now)
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}
