// The findings of the doctor as text, one line each, or as JSON.
import { escapeForDisplay } from '../core/escape-for-display.ts'
import type { Checked } from './doctor.ts'
import type { Verdict } from './finding.ts'

const marks: Readonly<Record<Verdict, string>> = { good: '✓', warning: '!', failure: '✗' }

/** Renders one line per finding: mark, check, finding, remedy. */
export function writeText(findings: readonly Checked[]): string {
  return findings
    .map(({ verdict, check, found, remedy }) => {
      const advice = remedy === undefined ? '' : `; ${remedy}`
      return `${marks[verdict]} ${check}: ${escapeForDisplay(found)}${escapeForDisplay(advice)}\n`
    })
    .join('')
}

/** Counts findings by kind in one sentence. */
export function sumUp(findings: readonly Checked[]): string {
  const count = (verdict: Verdict, one: string, many: string) => {
    const number = findings.filter(finding => finding.verdict === verdict).length
    return `${number} ${number === 1 ? one : many}`
  }
  return `${count('failure', 'failure', 'failures')}, ${count('warning', 'warning', 'warnings')}.`
}

/** Renders the findings as JSON. */
export function writeJson(findings: readonly Checked[]): string {
  const passed = !hasFailure(findings)
  return `${JSON.stringify({ passed, findings: findings.map(({ check, verdict, found, remedy }) => ({ check, verdict, found, remedy })) })}\n`
}

export function hasFailure(findings: readonly Checked[]): boolean {
  return findings.some(({ verdict }) => verdict === 'failure')
}
