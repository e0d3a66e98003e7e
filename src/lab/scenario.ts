// A scenario of the lab: one theft, run against a server and judged by its result.
// RFC 9700 §4.9 and §4.10 describe the thieves; RFC 8705, RFC 9266 and the levels of tlsbound must stop them.
import type { TokenBinding } from '../core/confirmation.ts'
import type { Attempt } from './attempt.ts'
import type { Stage } from './stage.ts'

export interface Scenario {
  /** A stable id, such as `other-connection`. */
  readonly id: string
  /** What the thief does, in one sentence. */
  readonly sentence: string
  /** What was stolen. */
  readonly stolen: string
  /** What else the thief has, own or stolen. */
  readonly thief: string
  /** What must succeed, or the refusals prove nothing. */
  readonly control: string
  /** The required result. */
  readonly expected: string
  /** Sections of specifications, or the promise of a level. */
  readonly demandedBy: readonly string[]
  /** The levels that promise to stop it. At other levels an accepted theft is reported, but not as a failure. */
  readonly stoppedAt: readonly TokenBinding[]
  /** What a server that accepted it must do: an instruction without a full stop. */
  readonly remedy: string
  /** Runs it. @throws NotTried when the server, the identities or the machine do not support it. */
  run(stage: Stage): Promise<Evidence>
}

export interface Evidence {
  readonly controls: readonly Attempt[]
  readonly thefts: readonly Attempt[]
}
