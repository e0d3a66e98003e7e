import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds that a test waits for an expected event: only a fault takes as long, even on a very busy machine. */
export const patience = 60_000

/** Waits for a background event. Rejects if it does not happen. */
export async function until(happened: () => boolean): Promise<void> {
  const started = process.hrtime.bigint()
  while (!happened()) {
    if (process.hrtime.bigint() - started > BigInt(patience) * 1_000_000n) throw new Error(`timed out: ${happened}`)
    await pause(1)
  }
}
