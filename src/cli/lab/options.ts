// The options of tlsbound lab. Each but --list and --explain has an environment variable: TLSBOUND_LAB_ and its name.
import { tokenBindings } from '../../core/confirmation.ts'
import { clientAuthentications } from '../../lab/client-authentication.ts'
import { onOff } from '../../settings/forms.ts'
import { UsageError, type Values } from '../command.ts'
import type { Option } from '../option.ts'

const identities = 'Identities'
const reports = 'Reports'

const withoutVariable: readonly Option[] = [
  { name: 'list', help: 'Lists all scenarios, one per line' },
  { name: 'explain', value: 'ID', help: 'Explains one scenario' },
]

const withVariable: readonly Option[] = (
  [
    {
      name: 'level',
      value: 'LEVEL',
      choices: [...tokenBindings, 'all'],
      fallback: 'all that the server offers',
      help: 'The level of the tokens: certificate, proof, connection or all',
    },
    { name: 'tls', value: 'VERSION', choices: ['1.3', '1.2'], fallback: '1.3', help: 'The TLS version: 1.3 or 1.2' },
    {
      name: 'http',
      value: 'VERSION',
      choices: ['1.1', '2'],
      fallback: 'each that the server supports',
      help: 'The HTTP version: 1.1 or 2',
    },
    { name: 'only', value: 'IDS', fallback: 'all', help: 'The scenarios to run, separated by commas' },
    {
      name: 'profile',
      value: 'NAME',
      choices: ['tlsbound', 'rfc8705'],
      fallback: 'derived from the metadata of the server',
      help: 'tlsbound, or rfc8705 for any server that issues certificate-bound tokens',
    },
    { name: 'token-endpoint', value: 'URL', fallback: 'that of the metadata', help: 'Where tokens are requested' },
    {
      name: 'resource',
      value: 'URL',
      fallback: '/api/whoami, with profile tlsbound',
      help: 'Where tokens are used, with GET',
    },
    {
      name: 'signed-resource',
      value: 'URL',
      fallback: '/api/signed-notes, with profile tlsbound and without --resource',
      help: 'A resource that requires signed requests, with GET, and with POST of {"text":"…"}',
    },
    { name: 'scope', value: 'SCOPE', fallback: 'none', help: 'The scope that tokens are requested with' },
    {
      name: 'gentle',
      help: 'For production: waits 250 ms before each connection and opens at most 10 per scenario',
    },
    { name: 'strict', help: 'Also fails when a control was rejected or a scenario could not be tried' },
    {
      name: 'pki',
      value: 'FOLDER',
      group: identities,
      help: 'The folder with ca.crt, alice.crt, alice.key, and for thieves the files of bob (another client), mallory (no client) and stranger (another authority). With ca.key the lab issues further certificates itself',
    },
    { name: 'victim', value: 'NAME', fallback: 'alice', group: identities, help: 'Names the files of the victim' },
    { name: 'thief', value: 'NAME', fallback: 'bob', group: identities, help: 'Names the files of another client' },
    {
      name: 'nobody',
      value: 'NAME',
      fallback: 'mallory',
      group: identities,
      help: 'Names the files of the same authority that belong to no client',
    },
    {
      name: 'stranger',
      value: 'NAME',
      fallback: 'stranger',
      group: identities,
      help: 'Names the files of another authority',
    },
    {
      name: 'client-id',
      value: 'ID',
      fallback: 'the common name of the certificate',
      group: identities,
      help: 'The client_id of the victim',
    },
    {
      name: 'client-auth',
      value: 'METHOD',
      choices: clientAuthentications,
      fallback: 'tls_client_auth',
      group: identities,
      help: 'How clients authenticate: tls_client_auth, self_signed_tls_client_auth, or with a secret besides the certificate: client_secret_basic or client_secret_post',
    },
    {
      name: 'client-secret-file',
      value: 'FILE',
      fallback: 'alice.secret in the folder',
      group: identities,
      help: 'The secret of the victim, in the first line; that of the other client is bob.secret',
    },
    {
      name: 'signing-key',
      value: 'FILE',
      group: identities,
      help: 'For a test server: a private key whose tokens it accepts, JWK or JWKS',
    },
    { name: 'json', group: reports, help: 'Writes the report as JSON to stdout' },
    { name: 'junit', value: 'FILE', group: reports, help: 'Also writes the report as JUnit XML' },
    { name: 'html', value: 'FILE', group: reports, help: 'Also writes the report as a web page' },
  ] satisfies Option[]
).map(option => ({ ...option, variable: `TLSBOUND_LAB_${option.name.toUpperCase().replaceAll('-', '_')}` }))

export const labOptions: readonly Option[] = [...withVariable, ...withoutVariable]

/** Returns the options, with the values of the environment for those that are not given. @throws UsageError for an invalid switch. */
export function readLabOptions(values: Values, env: NodeJS.ProcessEnv): Values {
  const found: Record<string, string | boolean> = {}
  for (const { name, variable = '', value: takesValue } of withVariable) {
    const text = env[variable]
    if (text === undefined || text === '') continue
    const value = takesValue === undefined ? onOff.parse(text) : text
    if (value === undefined) throw new UsageError(`${variable} must be ${onOff.words}`)
    found[name] = value
  }
  return { ...found, ...values }
}
