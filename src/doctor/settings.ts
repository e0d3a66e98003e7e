// The settings: every TLSBOUND_ variable must be a valid setting.
import { availableParallelism } from 'node:os'
import { countWorkers } from '../process/workers/count.ts'
import { describeServiceLinks, isServiceLink } from '../settings/service-links.ts'
import { parseSettings, type Settings, SettingsError, settingsTable } from '../settings/settings.ts'
import { type Finding, failure, good, splitRemedy, warning } from './finding.ts'

/** Checks the number of workers, if there are any. `cores`: those that this process may use. */
function checkWorkers(workers: number, cores: number): Finding[] {
  if (workers === 1) return []
  const found = `${workers} workers answer requests, on ${cores} ${cores === 1 ? 'core' : 'cores'}`
  if (workers <= cores) return [good(found)]
  return [warning(`${found}: they only take memory from each other`, 'set TLSBOUND_WORKERS to auto')]
}

/** Reads the settings as the server does. Without settings, the other checks are skipped. */
export function checkSettings(
  env: NodeJS.ProcessEnv,
  otherVariables: readonly string[] = [],
): { readonly findings: Finding[]; readonly settings?: Settings } {
  try {
    const settings = parseSettings(env, otherVariables)
    const given = Object.values(settingsTable).filter(
      ({ name }) => env[name] !== undefined && env[name] !== '' && !isServiceLink(name, env[name]),
    )
    const links = describeServiceLinks(env)
    const mode = settings.demo
      ? 'no certificate is configured, so this is the demo'
      : `the issuer is ${settings.issuer}`
    return {
      settings,
      findings: [
        good(`${given.length} of ${Object.keys(settingsTable).length} settings are set; ${mode}`),
        ...checkWorkers(countWorkers(settings), availableParallelism()),
        ...(links === undefined ? [] : [warning(...splitRemedy(links))]),
      ],
    }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return { findings: error.problems.map(problem => failure(problem)) }
  }
}
