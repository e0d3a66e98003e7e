// Findings of the doctor in a form that a test can compare: a line each, as `tlsbound doctor` shows them.
import type { Finding } from '../../../src/doctor/finding.ts'

const marks = { good: '✓', warning: '!', failure: '✗' } as const

/** `✓ FOUND`, or `✗ FOUND; REMEDY`, with a folder taken out of each. */
export function linesOf(findings: readonly Finding[], folder = ''): string[] {
  return findings.map(({ verdict, found, remedy }) => {
    const line = `${marks[verdict]} ${found}${remedy === undefined ? '' : `; ${remedy}`}`
    return folder === '' ? line : line.replaceAll(`${folder}/`, '').replaceAll(folder, '.')
  })
}

/** Whether everything that is not good says what to do, or is a sentence of the server's that does. */
export function hasRemedies(findings: readonly Finding[]): boolean {
  return findings.every(
    ({ verdict, found, remedy }) => verdict === 'good' || remedy !== undefined || /[:;]/.test(found),
  )
}
