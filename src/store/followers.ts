// The followers of a store's changes, and how far each was notified.
import type { Change } from './store.ts'

export interface Follower {
  readonly listener: (change: Change) => void
  /** Sequence number of the last change that the follower received. */
  position: number
}

export class Followers extends Set<Follower> {
  /** The follower that is furthest behind needs all changes after this number. Undefined without followers. */
  get position(): number | undefined {
    return this.size === 0 ? undefined : Math.min(...[...this].map(({ position }) => position))
  }

  /** Starts over: every follower receives all changes again. */
  restart(): void {
    for (const follower of this) follower.position = 0
  }

  /**
   * Notifies each follower of its new changes. `changes` are in order and complete after `position`. A follower that throws
   * receives no more for now; the others are not affected. @throws the first error of a follower.
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
