// tlsbound revoke: revokes tokens of a running server, at once and for every connection, and reports what that ended.
import { revocationKinds } from '../core/revocations.ts'
import { type Command, UsageError } from './command.ts'
import { openOps, opsOptions } from './ops.ts'
import { writeMessage, writeResult } from './output.ts'

export const command: Command = {
  usage: ['--token JTI | --grant ID | --client ID | --certificate X5T | --all [OPTIONS]'],
  description: [
    'Revokes access tokens and refresh tokens of a running server at once, through its ops listener. Tokens issued afterwards are accepted.',
  ],
  options: [
    { name: 'token', value: 'JTI', help: 'Revokes one access token, by its jti' },
    {
      name: 'grant',
      value: 'ID',
      help: 'Revokes one grant: its refresh tokens and every access token issued with them',
    },
    { name: 'client', value: 'ID', help: 'Revokes everything issued to a client' },
    {
      name: 'certificate',
      value: 'X5T',
      help: 'Revokes everything bound to a certificate, by its x5t#S256 (GET /binding shows it)',
    },
    { name: 'all', help: 'Revokes every token' },
    { name: 'force', help: 'Revokes a client or grant that the server does not know, too' },
    ...opsOptions,
  ],
  failure: 'nothing was revoked',
  examples: ['tlsbound revoke --client alice', 'tlsbound revoke --all'],
  async run(values) {
    const [kind, ...others] = revocationKinds.filter(name => values[name] !== undefined)
    if (kind === undefined || others.length > 0)
      throw new UsageError(`expected exactly one of --${revocationKinds.join(', --')}`)
    const target = kind === 'all' ? { kind } : { kind, value: values[kind] }
    const force = values.force === true
    if (kind === 'token' && !force && !isTokenId(String(values.token)))
      throw new Error(
        '--token: this is not the jti of a token of tlsbound, which is a UUID; nothing was revoked. It is revoked anyway with --force',
      )
    const answer = await openOps(values)('POST', '/admin/revocations', { ...target, ...(force && { force }) })
    const what = kind === 'all' ? 'all tokens' : `${kind} ${values[kind]}`
    writeResult(values, answer, `revoked: ${what}\n${describeEnded(answer.ended)}`)
    if (answer.known === false) writeMessage(untraced)
  },
}

/** Returns whether a text has the form of a jti (RFC 9562 §4). */
function isTokenId(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)
}

const untraced =
  'Not found in the store, nor on an open connection of this server. Signed tokens are not stored, so it may exist; then it is revoked now. Compare the value.'

interface Ended {
  readonly grants: number
  readonly more: boolean
  readonly tokens_in_use: number
  readonly connections: number
}

function describeEnded({ grants, more, tokens_in_use: tokens, connections }: Ended): string {
  const ofGrants = more ? `at least ${grants} grants` : count(grants, 'grant')
  return `ended: ${ofGrants}, ${count(tokens, 'access token')} in use on open connections, ${count(connections, 'connection')}`
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
