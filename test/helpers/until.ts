import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds that a test waits for what must happen: only a fault should ever take as long, on the busiest machine. */
export const patience = 60_000

/** Waits for what happens in the background. Rejects when it does not. */
export async function until(happened: () => boolean): Promise<void> {
  const started = process.hrtime.bigint()
  while (!happened()) {
    if (process.hrtime.bigint() - started > BigInt(patience) * 1_000_000n)
      throw new Error(`it never happened: ${happened}`)
    await pause(1)
  }
}
