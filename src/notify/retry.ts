// When a failed notification is retried: at growing intervals, for at most three and a half days. Jitter spreads the retries
// of notifications that failed together.

const [second, minute, hour] = [1000, 60_000, 3_600_000]

/** Milliseconds after the first attempt, the second, and so on. After the last of them there is no retry. */
const delays = [5 * second, 30 * second, 2 * minute, 10 * minute, 30 * minute].concat(
  [2, 5, 10, 14, 20, 20].map(hours => hours * hour),
)

/**
 * Milliseconds for which nothing is sent to a receiver after a failure: the default, and the most that its Retry-After can
 * set.
 */
const shortestRest = 5 * second
const longestRest = hour

/** Seconds after which a notification is discarded, attempted or not. */
export const lifetime = 7 * 86_400

/** Returns the milliseconds from this attempt (1 is the first) to the next; undefined after the last attempt. */
export function nextDelay(attempts: number, retryAfter = 0): number | undefined {
  const delay = delays[attempts - 1]
  return delay === undefined ? undefined : Math.max(delay * (1 + Math.random() / 5), Math.min(retryAfter, longestRest))
}

/** Returns the milliseconds for which nothing is sent to the receiver. */
export function restOf(retryAfter = 0): number {
  return Math.max(shortestRest, Math.min(retryAfter, longestRest))
}
