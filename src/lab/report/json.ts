// The report as JSON.
import type { Run } from '../matrix.ts'
import type { Scenario } from '../scenario.ts'
import { countConnections, type LabReport, remedyOf, type Sums, sumUp } from './report.ts'

/** Renders the report as one JSON object. */
export function writeJson({ date, identities, scenarios, runs, ...where }: LabReport): string {
  const report = {
    ...where,
    date: date.toISOString(),
    identities: identities.map(({ clientId, ...identity }) => ({ ...identity, client_id: clientId })),
    sums: nameSums(sumUp(runs)),
    connections: countConnections(runs),
    scenarios: scenarios.map(describeScenario),
    runs: runs.map(describeRun),
  }
  return `${JSON.stringify(report, null, 2)}\n`
}

/** Describes a scenario, also for `--list --json`. */
export function describeScenario({ demandedBy, stoppedAt, run: _, ...words }: Scenario): object {
  return { ...words, demanded_by: demandedBy, stopped_at: stoppedAt }
}

/** Describes a run; `duration` in milliseconds. */
function describeRun({ findings, duration, ...run }: Run): object {
  return {
    ...run,
    duration: Math.round(duration),
    sums: nameSums(sumUp([{ findings }])),
    findings: findings.map(finding => {
      const { scenario, outcome, ...found } = finding
      return { id: scenario.id, outcome, ...found, ...(outcome === 'failed' && { remedy: remedyOf(finding) }) }
    }),
  }
}

function nameSums(sums: Sums): Record<string, number> {
  return Object.fromEntries(Object.entries(sums).map(([outcome, count]) => [outcome.replace(/\W+/g, '_'), count]))
}
