// Exposures of secrets: modes and owners of secret files, debuggers, key logs, unsafe settings. In production mode each
// stops the server from starting.
import { findAllExposures, isProduction } from '../process/production.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, good, warning } from './finding.ts'

interface Process {
  readonly env: NodeJS.ProcessEnv
  readonly execArgv: readonly string[]
  /** The effective user of this process; undefined if the system has no users. */
  readonly user: number | undefined
}

/** Checks for exposures. `keysFile` contains the signing keys in use. */
export function checkExposures(settings: Settings, process: Process, keysFile: string): Finding[] {
  const find = isProduction(process.env) ? failure : warning
  const findings = findAllExposures(settings, process, keysFile).map(({ sentence }) => find(sentence))
  if (process.user === 0)
    findings.push(warning('this check runs as root, which can read every file', 'run it as the user of the server'))
  return findings.length > 0
    ? findings
    : [good('no secret is exposed: file modes, owners, debuggers and key logs are in order')]
}
