// Long work in steps, between which requests are answered. It is written once, as a generator that yields where it can be interrupted:
// a start does it at once, a reload step by step.

export type Steps<T> = Generator<void, T, void>

/** Does all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Work of one step. */
// biome-ignore lint/correctness/useYield: work of one step is never interrupted
export function* oneStep<T>(work: () => T): Steps<T> {
  return work()
}

/** Milliseconds after which requests are answered. */
const longestTurn = 10

/** Does the steps in turns of a few milliseconds. `around` runs each step. Rejects as the work throws. */
export async function inSteps<T>(steps: Steps<T>, around: <S>(step: () => S) => S = step => step()): Promise<T> {
  for (;;) {
    const end = performance.now() + longestTurn
    do {
      const step = around(() => steps.next())
      if (step.done === true) return step.value
    } while (performance.now() < end)
    await new Promise(resolve => setImmediate(resolve))
  }
}
