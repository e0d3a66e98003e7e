// The verdict on a server from the attempts of a scenario. A refusal counts only if the control was accepted.
import type { TokenBinding } from '../core/confirmation.ts'
import type { Attempt } from './attempt.ts'
import type { Evidence, Scenario } from './scenario.ts'

export type Outcome = 'passed' | 'failed' | 'accepted, not promised' | 'not tried'

export interface Finding extends Evidence {
  readonly scenario: Scenario
  readonly outcome: Outcome
  /** One line with the reason. */
  readonly evidence: string
}

/** Judges the result of a scenario at a level. */
export function judge(scenario: Scenario, { controls, thefts }: Evidence, level: TokenBinding): Finding {
  const find = (outcome: Outcome, evidence: string): Finding => ({ scenario, outcome, evidence, controls, thefts })

  const broken = controls.find(({ result }) => result !== 'accepted')
  if (broken !== undefined) return find('not tried', `the control failed: ${tell(broken)}`)
  if (thefts.length === 0) return find('not tried', 'no attempt was made')
  const fault = thefts.find(({ result }) => result === 'fault')
  if (fault !== undefined) return find('failed', `a server error is not a refusal: ${tell(fault)}`)
  const accepted = thefts.find(({ result }) => result === 'accepted')
  if (accepted === undefined) return find('passed', thefts.length === 1 ? tell(thefts[0] as Attempt) : tellAll(thefts))
  if (scenario.stoppedAt.includes(level)) return find('failed', `accepted: ${tell(accepted)}`)
  return find('accepted, not promised', `level ${level} does not promise to stop this; ${tell(accepted)}`)
}

function tell({ what, seen }: Attempt): string {
  return `${what}: ${seen}`
}

/** Counts results, such as "4 refused: 401 connection_mismatch, 401 bad_signature". */
function tellAll(thefts: readonly Attempt[]): string {
  return `${thefts.length} refused: ${[...new Set(thefts.map(({ seen }) => seen))].join(', ')}`
}
