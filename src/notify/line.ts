// The state of a receiver while the server runs.
import { createDamper, type Damper } from './damper.ts'
import type { Address } from './deliver.ts'
import type { Receiver } from './receiver.ts'

export type KnownReceiver = Receiver & Address

export interface Line {
  receiver: KnownReceiver
  readonly damper: Damper
  /** Notifications that are being sent. */
  underWay: number
  /** The latest claim. Claims run one after the other, so that the limit holds. */
  claiming: Promise<unknown>
  /** Milliseconds since 1970 of the last failure, and milliseconds for which nothing is sent after it. */
  rest: { readonly since: number; readonly length: number }
  /** The receiver answered 410: no more notifications. */
  isGone: boolean
}

/** Lines by the key of their receiver. */
export type Lines = Map<string, Line>

/** Replaces all receivers. The state of those that stay is retained. */
export function replaceReceivers(lines: Lines, receivers: readonly KnownReceiver[], clock: () => number): void {
  const keys = new Set(receivers.map(({ key }) => key))
  for (const key of lines.keys()) if (!keys.has(key)) lines.delete(key)
  for (const receiver of receivers) {
    const line = lines.get(receiver.key) ?? {
      damper: createDamper(clock),
      underWay: 0,
      claiming: Promise.resolve(),
    }
    lines.set(receiver.key, Object.assign(line, { receiver, rest: { since: 0, length: 0 }, isGone: false }))
  }
}

/** Whether nothing is sent to a receiver at `now`. A clock that was set back ends the pause. */
export function isResting({ rest: { since, length } }: Line, now: number): boolean {
  return now >= since && now - since < length
}
