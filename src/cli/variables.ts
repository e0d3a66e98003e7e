// The environment variables of commands that are not settings of the server. A server accepts them in its environment,
// so that one shell can start a server and run clients.
import { settingsTable } from '../settings/settings.ts'
import { gatewayOptions } from './gateway-options.ts'
import { identityOptions } from './identity-options.ts'
import { labOptions } from './lab/options.ts'
import { opsOptions } from './ops.ts'
import type { Option } from './option.ts'
import { sidecarOptions } from './sidecar-options.ts'
import { tokenOptions } from './token-options.ts'

const options: readonly Option[] = [
  ...identityOptions,
  ...tokenOptions,
  ...opsOptions,
  ...sidecarOptions,
  ...gatewayOptions,
  ...labOptions,
]
const settings = new Set(Object.values(settingsTable).map(({ name }) => name))

export const clientVariables: readonly string[] = [
  ...new Set(options.flatMap(({ variable }) => (variable === undefined || settings.has(variable) ? [] : [variable]))),
]
