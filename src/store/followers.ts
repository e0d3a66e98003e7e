// Who follows the news of a store, and how far each of them has been told.
import type { Change } from './store.ts'

export interface Follower {
  readonly listener: (change: Change) => void
  /** The sequence number of the last news told. */
  position: number
}

export class Followers extends Set<Follower> {
  /** All news after this number are of interest to somebody; undefined when nobody follows. */
  get position(): number | undefined {
    return this.size === 0 ? undefined : Math.min(...[...this].map(({ position }) => position))
  }

  /** From now on everything is new to everybody. */
  restart(): void {
    for (const follower of this) follower.position = 0
  }

  /**
   * Tells each follower what is new to it; `news` are in order and complete from `position` on. A follower that throws is not
   * told more; for the others that makes no difference. @throws what the first of them has thrown.
   */
  notify(changes: readonly Change[]): void {
    const failures: { readonly error: unknown }[] = []
    for (const follower of this)
      try {
        for (const one of changes)
          if (one.sequence > follower.position) {
            follower.listener(one)
            follower.position = one.sequence
          }
      } catch (error) {
        failures.push({ error })
      }
    if (failures[0] !== undefined) throw failures[0].error
  }
}
