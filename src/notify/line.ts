// What is known of a receiver while the server runs.
import { createDamper, type Damper } from './damper.ts'
import type { Address } from './deliver.ts'
import type { Receiver } from './receiver.ts'

export type KnownReceiver = Receiver & Address

export interface Line {
  receiver: KnownReceiver
  readonly damper: Damper
  /** How many notifications are being sent just now. */
  underWay: number
  /** The latest claim; they take turns, so that there are never more than may be. */
  claiming: Promise<unknown>
  /** Since it has failed, in milliseconds since 1970, and for how long it is sent nothing then. */
  rest: { readonly since: number; readonly length: number }
  /** It has said that it wants no more (410). */
  isGone: boolean
}

/** By the key of their receiver. */
export type Lines = Map<string, Line>

/** Puts other receivers in the place of all; of those that stay it is remembered what is under way. */
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

/** Whether a receiver is left alone at `now`. A clock that was put back ends that. */
export function isResting({ rest: { since, length } }: Line, now: number): boolean {
  return now >= since && now - since < length
}
