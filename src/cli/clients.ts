// tlsbound clients: lists and changes the clients of a running server.
import { readFileSync } from 'node:fs'
import { FileProblem } from '../files/file-problem.ts'
import { parseJsonText } from '../files/json-text.ts'
import { readJsonFile } from '../process/files.ts'
import { checkCertificate, printRegistration, registrationOptions } from './client-certificates.ts'
import { type Action, type Command, requireAction, UsageError, type Values } from './command.ts'
import { type CallOps, openOps, opsOptions } from './ops.ts'
import { writeMessage, writeResult } from './output.ts'

export const command: Command = {
  usage: ['ACTION [ARGUMENTS] [OPTIONS]'],
  description: [
    'Lists and changes the clients of a running server, through its ops listener. A change takes effect at once and is stored.',
  ],
  get actions() {
    return actions
  },
  options: [...opsOptions, ...registrationOptions],
  failure: 'the command failed, or no client matches the certificate',
  examples: [
    'tlsbound clients list',
    'tlsbound clients from-cert alice.crt --scope "notes:read notes:write" | tlsbound clients add -',
    'tlsbound clients disable alice',
  ],
  async run(values, [name, ...positionals]) {
    const action = requireAction(actions, name)
    if (positionals.length !== action.positionals.length)
      throw new UsageError(`expected: tlsbound clients ${[action.name, ...action.positionals].join(' ')}`)
    const foreign = registrationOptions.find(({ name }) => values[name] !== undefined)
    if (foreign !== undefined && action.name !== 'from-cert')
      throw new UsageError(`--${foreign.name} is an option of from-cert only`)
    const call: CallOps = (method, path, body) => openOps(values)(method, path, body) // from-cert needs no server
    await action.run(call, values, positionals as [string, string])
  },
}

interface ClientAction extends Action {
  run(call: CallOps, values: Values, positionals: readonly [string, string]): Promise<void>
}

const at = (id: string, rest = '') => `/admin/clients/${encodeURIComponent(id)}${rest}`

const actions: readonly ClientAction[] = [
  {
    name: 'list',
    positionals: [],
    help: 'Lists all clients: id, state, where each is registered, authentication method, number of secrets',
    async run(call, values) {
      const answer = await call('GET', '/admin/clients')
      writeResult(values, answer, answer.clients.map(describe).join('\n') || 'no clients')
    },
  },
  {
    name: 'show',
    positionals: ['ID'],
    help: 'Shows one client with its registration, as JSON',
    async run(call, values, [id]) {
      const answer = await call('GET', at(id))
      writeResult(values, answer, JSON.stringify(answer, null, 2))
    },
  },
  {
    name: 'add',
    positionals: ['FILE'],
    help: 'Registers the client in a JSON file (- is stdin), or replaces its registration. If the registration differs, everything issued to the client is revoked',
    async run(call, values, [file]) {
      const registration = readRegistration(file)
      const answer = await call('PUT', at(registration.client_id), registration)
      writeResult(values, answer, describe(answer))
    },
  },
  {
    name: 'from-cert',
    positionals: ['FILE'],
    help: 'Prints a registration for the certificate in a PEM file, with its name in the form of RFC 4514. Needs no server',
    async run(_call, values, [file]) {
      printRegistration(values, file)
    },
  },
  {
    name: 'check',
    positionals: ['FILE'],
    help: 'Names the client that the certificate in a PEM file authenticates, or says why it matches none',
    run: (call, values, [file]) => checkCertificate(call, values, file),
  },
  change('disable', 'Rejects a client from now on, and revokes everything issued to it', {
    done: 'its tokens are revoked and its connections are closed',
  }),
  change('enable', 'Accepts a disabled client again', { done: 'revoked tokens stay revoked; it can request new ones' }),
  {
    name: 'remove',
    positionals: ['ID'],
    help: 'Removes a client that is not in the clients file, and revokes everything issued to it',
    async run(call, values, [id]) {
      writeResult(values, await call('DELETE', at(id)), `removed: ${id}`)
    },
  },
  {
    name: 'add-secret',
    positionals: ['ID'],
    help: 'Creates a secret for a client with client_secret_basic, and shows it once. A client can have two',
    async run(call, values, [id]) {
      const answer = await call('POST', at(id, '/secrets'))
      writeResult(values, answer, answer.secret)
      writeMessage(
        `This is secret ${answer.secret_id} of ${id}. The server stores only its hash and cannot show it again.`,
      )
    },
  },
  {
    name: 'remove-secret',
    positionals: ['ID', 'SECRET'],
    help: 'Removes a secret by its id',
    async run(call, values, [id, secret]) {
      const answer = await call('DELETE', at(id, `/secrets/${encodeURIComponent(secret)}`))
      writeResult(values, answer, `removed: secret ${secret} of ${id}`)
    },
  },
]

function change(name: 'disable' | 'enable', help: string, { done }: { readonly done: string }): ClientAction {
  return {
    name,
    positionals: ['ID'],
    help,
    async run(call, values, [id]) {
      const answer = await call('POST', at(id, `/${name}`))
      writeResult(values, answer, describe(answer))
      writeMessage(`${id}: ${done}.`)
    },
  }
}

interface View {
  readonly client_id: string
  readonly disabled: boolean
  readonly origin: string
  readonly secrets: readonly string[]
  readonly registration: { readonly token_endpoint_auth_method: string }
}

function describe({ client_id: id, disabled, origin, secrets, registration }: View): string {
  const columns = [id.padEnd(24), disabled ? 'disabled' : 'enabled ', origin.padEnd(5)]
  return [...columns, registration.token_endpoint_auth_method.padEnd(27), `${secrets.length} secrets`].join('  ')
}

/** Reads a registration, which the server validates. @throws FileProblem */
function readRegistration(file: string): { client_id: string } {
  const registration = file === '-' ? parseJsonText(readFileSync(0), 'stdin', 'object') : readJsonFile(file, 'object')
  const { client_id: id } = registration as { client_id?: unknown }
  if (typeof id === 'string' && id !== '') return registration as { client_id: string }
  throw new FileProblem(file, { found: 'client_id is missing', remedy: 'the file must contain one registration' })
}
