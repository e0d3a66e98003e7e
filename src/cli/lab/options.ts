// The options of tlsbound lab: each has its environment variable, TLSBOUND_LAB_ and its name.
import { onOff } from '../../settings/forms.ts'
import { UsageError, type Values } from '../command.ts'

const texts = [
  ...['pki', 'victim', 'thief', 'nobody', 'stranger', 'client-id', 'client-auth', 'client-secret-file', 'signing-key'],
  ...['level', 'tls', 'http', 'only', 'profile', 'token-endpoint', 'resource', 'scope', 'junit', 'html'],
]
const switches = ['gentle', 'strict', 'json']

export const labOptions = {
  ...Object.fromEntries(texts.map(name => [name, { type: 'string' } as const])),
  ...Object.fromEntries(switches.map(name => [name, { type: 'boolean' } as const])),
  list: { type: 'boolean' },
  explain: { type: 'string' },
} as const

/** The environment variables, each for the option of its name. */
export const labVariables: Readonly<Record<string, string>> = Object.fromEntries(
  [...texts, ...switches].map(name => [`TLSBOUND_LAB_${name.toUpperCase().replaceAll('-', '_')}`, name]),
)

/** The options with what the environment says of those that are not given. @throws UsageError for a switch that is neither on nor off. */
export function readLabOptions(values: Values, env: NodeJS.ProcessEnv): Values {
  const found: Record<string, string | boolean> = {}
  for (const [variable, name] of Object.entries(labVariables)) {
    const text = env[variable]
    if (text === undefined || text === '') continue
    const value = switches.includes(name) ? onOff.read(text) : text
    if (value === undefined) throw new UsageError(`${variable} must be ${onOff.words}`)
    found[name] = value
  }
  return { ...found, ...values }
}
