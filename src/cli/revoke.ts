// tlsbound revoke: revokes tokens of a running server, at once and for every connection.
import { revocationKinds } from '../core/revocations.ts'
import { type Command, UsageError } from './command.ts'
import { openOps, opsOptions } from './ops.ts'
import { writeResult } from './output.ts'

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
    ...opsOptions,
  ],
  examples: ['tlsbound revoke --client alice', 'tlsbound revoke --all'],
  async run(values) {
    const [kind, ...others] = revocationKinds.filter(name => values[name] !== undefined)
    if (kind === undefined || others.length > 0)
      throw new UsageError(`expected exactly one of --${revocationKinds.join(', --')}`)
    const target = kind === 'all' ? { kind } : { kind, value: values[kind] }
    const answer = await openOps(values)('POST', '/admin/revocations', target)
    writeResult(values, answer, `revoked: ${kind === 'all' ? 'all tokens' : `${kind} ${values[kind]}`}`)
  },
}
