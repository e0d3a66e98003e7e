// What a scenario of the lab is: one theft, told in words, played against a server, and judged by what came of it.
// RFC 9700 §4.9 and §4.10 describe the thieves; RFC 8705, RFC 9266 and the levels of tlsbound what must stop them.
import type { TokenBinding } from '../core/confirmation.ts'
import type { Attempt } from './attempt.ts'
import type { Stage } from './stage.ts'

export interface Scenario {
  /** Stable, such as `other-connection`. */
  readonly id: string
  /** What the thief does, in one sentence. */
  readonly sentence: string
  /** What was stolen. */
  readonly stolen: string
  /** What the thief has besides, of their own or stolen too. */
  readonly thief: string
  /** What must work, or the refusals prove nothing. */
  readonly control: string
  /** What must come of it. */
  readonly expected: string
  /** Sections of specifications, or the promise of a level. */
  readonly demandedBy: readonly string[]
  /** The levels that promise to stop it. At the others what happens is reported, and is no failure. */
  readonly stoppedAt: readonly TokenBinding[]
  /** What a server must do that accepted it, as an instruction without its full stop. */
  readonly remedy: string
  /** Plays it. @throws NotTried when this server, these identities or this machine do not allow it. */
  run(stage: Stage): Promise<Evidence>
}

export interface Evidence {
  readonly controls: readonly Attempt[]
  readonly thefts: readonly Attempt[]
}
