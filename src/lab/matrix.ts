// Runs scenarios at each requested level, TLS version and HTTP version: one run per combination.
import type { TokenBinding } from '../core/confirmation.ts'
import type { Finding } from './judge.ts'
import { type Report, runLab } from './run.ts'
import type { Scenario } from './scenario.ts'
import type { StageOptions } from './stage.ts'

/** What differs between runs. */
export type Setting = Pick<StageOptions, 'level' | 'tls' | 'http'>

export interface Matrix extends Omit<StageOptions, keyof Setting> {
  readonly levels: readonly TokenBinding[]
  readonly tls: readonly Setting['tls'][]
  readonly http: readonly Setting['http'][]
}

/** The result of one combination. */
export interface Run extends Setting, Report {}

/** Runs `scenarios` in every combination. `onFinding` receives each finding. */
export async function runMatrix(
  scenarios: readonly Scenario[],
  { levels, tls: versions, http: protocols, ...same }: Matrix,
  onFinding: (finding: Finding, setting: Setting) => void = () => {},
): Promise<Run[]> {
  const settings = levels.flatMap(level => versions.flatMap(tls => protocols.map(http => ({ level, tls, http }))))
  const runs: Run[] = []
  for (const setting of settings) {
    const report = await runLab(scenarios, { ...same, ...setting }, finding => onFinding(finding, setting))
    runs.push({ ...setting, ...report })
  }
  return runs
}

/** Describes a setting, such as "level connection, TLS 1.3, HTTP/2". */
export function describeSetting({ level, tls, http }: Setting): string {
  return `level ${level}, TLS ${tls.slice('TLSv'.length)}, ${http === 'h2' ? 'HTTP/2' : 'HTTP/1.1'}`
}
