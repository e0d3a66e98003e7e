// The report for a terminal: a matrix of all scenarios and runs; below it failures with remedies, thefts that the level
// does not promise to stop, and what could not be tried.

import { escapeForDisplay } from '../../core/escape-for-display.ts'
import type { Outcome } from '../judge.ts'
import { describeSetting, type Run } from '../matrix.ts'
import {
  countConnections,
  describeSeconds,
  describeSums,
  findOutcome,
  type LabReport,
  listFindings,
  remedyOf,
  sumUp,
} from './report.ts'

/** Styles an outcome, for example with a colour. */
export type PaintOutcome = (text: string, outcome: Outcome | undefined) => string

const cells: Readonly<Record<Outcome, string>> = {
  passed: 'passed',
  failed: 'FAILED', // so that failures are conspicuous
  'accepted, not promised': 'accepted',
  'not tried': '–',
}

/** Renders the report as lines of text. */
export function writeTable(report: LabReport, paint: PaintOutcome = text => text): string {
  const { server, resource, profile, runs } = report
  const lines = [
    `${server}, tokens used at ${resource}, profile ${profile}`,
    '',
    ...writeMatrix(report, paint),
    ...writeFailures(runs, paint),
    ...writeGroups('Accepted, and the level does not promise to stop it:', runs, 'accepted, not promised'),
    ...writeGroups('Not tried:', runs, 'not tried'),
    '',
    `${describeSums(sumUp(runs))}; ${countConnections(runs)} connections, ${describeSeconds(runs)} s`,
  ]
  return `${lines.join('\n')}\n`
}

function writeMatrix({ scenarios, runs }: LabReport, paint: PaintOutcome): string[] {
  const first = Math.max(...scenarios.map(({ id }) => id.length)) + 2
  const headings = runs.map(run => describeSetting(run).replace('level ', '').split(', '))
  const widths = headings.map(lines => Math.max(...lines.map(line => line.length), cells.failed.length) + 2)
  const height = Math.max(...headings.map(lines => lines.length), 0)
  const row = (term: string, texts: readonly string[]) => (term.padEnd(first) + texts.join('')).trimEnd()
  const pad = (text: string, column: number) => text.padEnd(widths[column] ?? 0)
  const head = Array.from({ length: height }, (_, line) =>
    row(
      '',
      headings.map((lines, column) => pad(lines[line] ?? '', column)),
    ),
  )
  const rows = scenarios.map(scenario =>
    row(
      scenario.id,
      runs.map((run, column) => {
        const outcome = findOutcome(scenario, run)
        const text = outcome === undefined ? '' : cells[outcome]
        return paint(text, outcome) + pad(text, column).slice(text.length)
      }),
    ),
  )
  return [...head, ...rows]
}

function writeFailures(runs: readonly Run[], paint: PaintOutcome): string[] {
  const failures = listFindings(runs, 'failed')
  if (failures.length === 0) return []
  const lines = failures.flatMap(({ finding, run }) => [
    `  ${paint(finding.scenario.id, 'failed')}, ${describeSetting(run)}: ${escapeForDisplay(finding.evidence)}`,
    `    Remedy: ${remedyOf(finding)}.`,
  ])
  return ['', 'What the server must reject:', ...lines]
}

/** Groups the findings of an outcome by their reason. */
function writeGroups(heading: string, runs: readonly Run[], outcome: Outcome): string[] {
  const groups = Map.groupBy(listFindings(runs, outcome), ({ finding }) => finding.evidence)
  if (groups.size === 0) return []
  const lines = [...groups].map(([evidence, found]) => {
    const ids = [...new Set(found.map(({ finding }) => finding.scenario.id))]
    return `  ${ids.join(', ')}: ${escapeForDisplay(evidence)}`
  })
  return ['', heading, ...lines]
}
