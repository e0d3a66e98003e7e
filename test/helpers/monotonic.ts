// The monotonic clock of this process, moved ahead: tokens of a client grow old without anybody sleeping.

/** Lets `seconds` pass for whoever reads `performance.now`, until the test ends. Timers go on as they were. */
export function letPass(t: { teardown(end: () => unknown): void }, seconds: number): void {
  const { now } = performance
  const own = Object.hasOwn(performance, 'now')
  performance.now = () => now.call(performance) + seconds * 1000
  t.teardown(() => {
    if (own) performance.now = now
    else Reflect.deleteProperty(performance, 'now')
  })
}
