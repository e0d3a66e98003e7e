// Advances the monotonic clock of this process, so that tokens of a client expire without waiting.

/** Advances `performance.now` by `seconds` until the test ends. Timers are unaffected. */
export function letPass(t: { teardown(end: () => unknown): void }, seconds: number): void {
  const { now } = performance
  const own = Object.hasOwn(performance, 'now')
  performance.now = () => now.call(performance) + seconds * 1000
  t.teardown(() => {
    if (own) performance.now = now
    else Reflect.deleteProperty(performance, 'now')
  })
}
