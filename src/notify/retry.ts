// When a notification that failed is sent again: later each time, for three days and a half at most, with some jitter so that
// what failed together does not come back together.

const [second, minute, hour] = [1000, 60_000, 3_600_000]

/** Milliseconds after the first attempt, the second … After the last of them nothing more is tried. */
const delays = [5 * second, 30 * second, 2 * minute, 10 * minute, 30 * minute].concat(
  [2, 5, 10, 14, 20, 20].map(hours => hours * hour),
)

/** Milliseconds for which a receiver that has failed is sent nothing else, and for which one at most is that asks for more. */
const shortestRest = 5 * second
const longestRest = hour

/** Seconds after which nobody is told of an event any more, whether somebody has tried or not. */
export const lifetime = 7 * 86_400

/** Milliseconds until the attempt after the one of this number, which was the first one if it is 1; undefined: give up. */
export function nextDelay(attempts: number, retryAfter = 0): number | undefined {
  const delay = delays[attempts - 1]
  return delay === undefined ? undefined : Math.max(delay * (1 + Math.random() / 5), Math.min(retryAfter, longestRest))
}

/** Milliseconds for which the receiver is left alone. */
export function restOf(retryAfter = 0): number {
  return Math.max(shortestRest, Math.min(retryAfter, longestRest))
}
