// The data of every report format: what was tried, where, as which client, and the outcome.
import { X509Certificate } from 'node:crypto'
import type { Cast } from '../cast.ts'
import type { Finding, Outcome } from '../judge.ts'
import type { Run } from '../matrix.ts'
import type { ProfileName } from '../profile.ts'
import type { Scenario } from '../scenario.ts'

export interface LabReport {
  /** The URL of the server, as the user entered it. */
  readonly server: string
  /** Where tokens were used. */
  readonly resource: string
  readonly profile: ProfileName
  /** When the run began. */
  readonly date: Date
  readonly identities: readonly ReportedIdentity[]
  readonly scenarios: readonly Scenario[]
  readonly runs: readonly Run[]
}

/** A public description of one of the cast. */
export interface ReportedIdentity {
  readonly name: string
  /** The distinguished name of its certificate. */
  readonly subject: string
  readonly clientId: string
}

/** Lists the cast. */
export function describeCast({ alice, bob, mallory, stranger }: Cast): ReportedIdentity[] {
  return Object.entries({ alice, bob, mallory, stranger }).flatMap(([role, identity]) => {
    if (identity === undefined) return []
    const { certificate, clientId, name = role } = identity
    return { name, subject: new X509Certificate(certificate).subject.replaceAll('\n', ', '), clientId }
  })
}

/** The outcomes, in the order of sums. */
export const outcomes: readonly Outcome[] = ['passed', 'failed', 'accepted, not promised', 'not tried']

export type Sums = Readonly<Record<Outcome, number>>

export function sumUp(runs: readonly Pick<Run, 'findings'>[]): Sums {
  const found = runs.flatMap(({ findings }) => findings.map(({ outcome }) => outcome))
  return Object.fromEntries(outcomes.map(outcome => [outcome, found.filter(one => one === outcome).length])) as Sums
}

/** Describes sums, such as "40 passed, 0 failed, 2 accepted (not promised), 1 not tried". */
export function describeSums(sums: Sums): string {
  return outcomes.map(outcome => `${sums[outcome]} ${outcome.replace(/, (.*)/, ' ($1)')}`).join(', ')
}

/** Returns the outcome of a scenario in a run; undefined if it was not part of it. */
export function findOutcome(scenario: Scenario, { findings }: Pick<Run, 'findings'>): Outcome | undefined {
  return findings.find(finding => finding.scenario === scenario)?.outcome
}

/** Returns the remedy for a failed scenario. A 5xx has another cause than an accepted token. */
export function remedyOf({ scenario, thefts }: Finding): string {
  const isFault = thefts.some(({ result }) => result === 'fault')
  return isFault
    ? 'Find the error in the log of the server, and respond to such a request with 401 or 400'
    : scenario.remedy
}

/** Lists the findings of an outcome, with their runs. */
export function listFindings(runs: readonly Run[], outcome: Outcome): { finding: Finding; run: Run }[] {
  return runs.flatMap(run =>
    run.findings.filter(finding => finding.outcome === outcome).map(finding => ({ finding, run })),
  )
}

/** Returns the total number of connections. */
export function countConnections(runs: readonly Run[]): number {
  return runs.reduce((sum, { connections }) => sum + connections, 0)
}

/** Returns the total duration in seconds, such as "1.4". */
export function describeSeconds(runs: readonly Run[]): string {
  return (runs.reduce((sum, { duration }) => sum + duration, 0) / 1000).toFixed(1)
}
