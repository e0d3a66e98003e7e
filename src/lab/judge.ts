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
  if (broken !== undefined) return find('not tried', `the control failed: ${describeAttempt(broken)}`)
  if (thefts.length === 0) return find('not tried', 'no attempt was made')
  const fault = thefts.find(({ result }) => result === 'fault')
  if (fault !== undefined) return find('failed', `a server error is not a refusal: ${describeAttempt(fault)}`)
  const accepted = thefts.find(({ result }) => result === 'accepted')
  if (accepted === undefined)
    return find('passed', thefts.length === 1 ? describeAttempt(thefts[0] as Attempt) : summarize(thefts))
  if (scenario.stoppedAt.includes(level)) return find('failed', `accepted: ${describeAttempt(accepted)}`)
  return find('accepted, not promised', `level ${level} does not promise to stop this; ${describeAttempt(accepted)}`)
}

function describeAttempt({ what, seen }: Attempt): string {
  return `${what}: ${seen}`
}

/** Counts results, such as "4 refused: 401 connection_mismatch, 401 bad_signature". */
function summarize(thefts: readonly Attempt[]): string {
  return `${thefts.length} refused: ${[...new Set(thefts.map(({ seen }) => seen))].join(', ')}`
}
