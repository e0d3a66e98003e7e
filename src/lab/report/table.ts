// The report for people: one line of evidence for each scenario, sums, and at the end once more what failed.

import { printable } from '../../core/printable.ts'
import { describeSetting, type Run } from '../matrix.ts'
import { countConnections, type LabReport, listFindings, sumUp, tellSeconds, tellSums } from './report.ts'

/** Writes the report as lines of text. */
export function writeTable(report: LabReport): string {
  const { server, resource, profile, runs } = report
  const failed = listFindings(runs, 'failed').map(
    ({ finding: { scenario, evidence }, run }) => `  ${scenario.id}, ${describeSetting(run)}: ${printable(evidence)}`,
  )
  return [
    `${server}, tokens used at ${resource}, profile ${profile}`,
    ...runs.flatMap(run => ['', ...writeRun(run)]),
    ...(failed.length > 0 ? ['', 'What should have been refused:', ...failed] : []),
    '',
    `${tellSums(sumUp(runs))}; ${countConnections(runs)} connections, ${tellSeconds(runs)} s`,
    '',
  ].join('\n')
}

function writeRun(run: Run): string[] {
  const width = Math.max(...run.findings.map(({ scenario }) => scenario.id.length))
  return [
    describeSetting(run),
    ...run.findings.map(({ scenario, outcome, evidence }) => {
      const shown = outcome === 'failed' ? 'FAILED' : outcome // to be found at a glance
      return `  ${shown.padEnd(14)}  ${scenario.id.padEnd(width)}  ${printable(evidence)}`
    }),
    `  ${tellSums(sumUp([run]))}`,
  ]
}
