// Findings of the doctor in comparable form: one line each, as `tlsbound doctor` prints them.
import type { Finding } from '../../../src/doctor/finding.ts'

const marks = { good: '✓', warning: '!', failure: '✗' } as const

/** `✓ FOUND`, or `✗ FOUND; REMEDY`, without the path of the folder. */
export function linesOf(findings: readonly Finding[], folder = ''): string[] {
  return findings.map(({ verdict, found, remedy }) => {
    const line = `${marks[verdict]} ${found}${remedy === undefined ? '' : `; ${remedy}`}`
    return folder === '' ? line : line.replaceAll(`${folder}/`, '').replaceAll(folder, '.')
  })
}

/** Whether every warning and failure names a remedy, or is a message of the server that does. */
export function hasRemedies(findings: readonly Finding[]): boolean {
  return findings.every(
    ({ verdict, found, remedy }) => verdict === 'good' || remedy !== undefined || /[:;]/.test(found),
  )
}
