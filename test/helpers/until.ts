/** Waits, a turn of the event loop at a time, for what happens in the background. Rejects when it takes 20 seconds. */
export async function until(happened: () => boolean): Promise<void> {
  const started = process.hrtime.bigint()
  while (!happened()) {
    if (process.hrtime.bigint() - started > 20_000_000_000n) throw new Error(`it never happened: ${happened}`)
    await new Promise(setImmediate)
  }
}
