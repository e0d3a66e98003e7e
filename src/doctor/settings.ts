// The settings: every TLSBOUND_ variable must be a valid setting.

import { describeServiceLinks, isServiceLink } from '../settings/service-links.ts'
import { parseSettings, type Settings, SettingsError, settingsTable } from '../settings/settings.ts'
import { type Finding, failure, good, splitRemedy, warning } from './finding.ts'

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
        ...(links === undefined ? [] : [warning(...splitRemedy(links))]),
      ],
    }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return { findings: error.problems.map(problem => failure(problem)) }
  }
}
