// tlsbound revoke: ends tokens of a running server, at once and for every connection.
import { revocationKinds } from '../core/revocations.ts'
import { type Command, UsageError } from './command.ts'
import { openOps, opsHelp, opsOptions, tell } from './ops.ts'

export const command: Command = {
  help: `Usage: tlsbound revoke --token JTI | --grant ID | --client ID | --certificate X5T | --all  [OPTIONS]

Revokes access tokens and refresh tokens of a running server at once. Tokens that are issued afterwards are accepted.

  --token JTI             one access token, by its id
  --grant ID              one grant: its refresh tokens, and all access tokens that came from it
  --client ID             all that a client holds
  --certificate X5T       all that is bound to a certificate, by its x5t#S256 (as /binding shows it)
  --all                   all tokens there are
${opsHelp}`,
  options: {
    token: { type: 'string' },
    grant: { type: 'string' },
    client: { type: 'string' },
    certificate: { type: 'string' },
    all: { type: 'boolean' },
    ...opsOptions,
  },
  async run(values) {
    const [kind, ...others] = revocationKinds.filter(name => values[name] !== undefined)
    if (kind === undefined || others.length > 0)
      throw new UsageError(`exactly one of --${revocationKinds.join(', --')} is needed`)
    const target = kind === 'all' ? { kind } : { kind, value: values[kind] }
    const answer = await openOps(values)('POST', '/admin/revocations', target)
    tell(values, answer, `revoked: ${kind === 'all' ? 'all tokens' : `${kind} ${values[kind]}`}`)
  },
}
