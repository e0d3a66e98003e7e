// tlsbound clients: lists and changes the clients of a running server.
import { readFileSync } from 'node:fs'
import { FileProblem } from '../files/file-problem.ts'
import { parseJsonText } from '../files/json-text.ts'
import { readJsonFile } from '../process/files.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { type CallOps, openOps, opsHelp, opsOptions, tell } from './ops.ts'

export const command: Command = {
  help: `Usage: tlsbound clients ACTION [WORDS] [OPTIONS]

Lists and changes the clients of a running server; a change is in force at once, and stays.

  list                    all clients: id, state, where it is registered, method, number of secrets
  show ID                 one client with its registration, as JSON
  add FILE                register the client in a JSON file (- is stdin), or replace its registration; one that says
                          something else revokes all that it holds
  disable ID              refuse a client, and revoke all that it holds
  enable ID               let it in again
  remove ID               remove a client that is not in the file of clients, and revoke all that it holds
  add-secret ID           make a secret for client_secret_basic, and show it this once; two are good at once
  remove-secret ID SECRET remove a secret, by its id
${opsHelp}`,
  options: opsOptions,
  takesWords: true,
  async run(values, [action, ...words]) {
    const known = actions.find(({ name }) => name === action)
    if (known === undefined)
      throw new UsageError(action === undefined ? 'an action is missing' : `clients has no action ${action}`)
    if (words.length !== known.words.length)
      throw new UsageError(`it is tlsbound clients ${[known.name, ...known.words].join(' ')}`)
    await known.run(openOps(values), values, words as [string, string])
  },
}

interface Action {
  readonly name: string
  readonly words: readonly string[]
  run(call: CallOps, values: Values, words: readonly [string, string]): Promise<void>
}

const at = (id: string, rest = '') => `/admin/clients/${encodeURIComponent(id)}${rest}`

const actions: readonly Action[] = [
  {
    name: 'list',
    words: [],
    async run(call, values) {
      const answer = await call('GET', '/admin/clients')
      tell(values, answer, answer.clients.map(describe).join('\n') || 'no clients')
    },
  },
  {
    name: 'show',
    words: ['ID'],
    async run(call, values, [id]) {
      const answer = await call('GET', at(id))
      tell(values, answer, JSON.stringify(answer, null, 2))
    },
  },
  {
    name: 'add',
    words: ['FILE'],
    async run(call, values, [file]) {
      const registration = readRegistration(file)
      const answer = await call('PUT', at(registration.client_id), registration)
      tell(values, answer, describe(answer))
    },
  },
  change('disable', 'what it held is revoked; its connections are closed'),
  change('enable', 'what was revoked stays revoked; it asks for new tokens'),
  {
    name: 'remove',
    words: ['ID'],
    async run(call, values, [id]) {
      tell(values, await call('DELETE', at(id)), `removed: ${id}`)
    },
  },
  {
    name: 'add-secret',
    words: ['ID'],
    async run(call, values, [id]) {
      const answer = await call('POST', at(id, '/secrets'))
      tell(values, answer, answer.secret)
      process.stderr.write(`This is secret ${answer.secret_id} of ${id}. It is not kept, and cannot be shown again.\n`)
    },
  },
  {
    name: 'remove-secret',
    words: ['ID', 'SECRET'],
    async run(call, values, [id, secret]) {
      const answer = await call('DELETE', at(id, `/secrets/${encodeURIComponent(secret)}`))
      tell(values, answer, `removed: secret ${secret} of ${id}`)
    },
  },
]

function change(name: 'disable' | 'enable', remark: string): Action {
  return {
    name,
    words: ['ID'],
    async run(call, values, [id]) {
      const answer = await call('POST', at(id, `/${name}`))
      tell(values, answer, describe(answer))
      process.stderr.write(`${id}: ${remark}.\n`)
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

/** Reads a registration. The server says whether it is valid. @throws FileProblem */
function readRegistration(file: string): { client_id: string } {
  const registration = file === '-' ? parseJsonText(readFileSync(0), 'stdin', 'object') : readJsonFile(file, 'object')
  const { client_id: id } = registration as { client_id?: unknown }
  if (typeof id === 'string' && id !== '') return registration as { client_id: string }
  throw new FileProblem(file, { found: 'client_id is missing, this must be one registration' })
}
