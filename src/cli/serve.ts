// tlsbound serve: runs the server until a signal stops it, or checks its settings and files.
import { main } from '../process/main.ts'
import { settingsTable } from '../settings/settings.ts'
import { type Command, UsageError } from './command.ts'
import { clientVariables } from './variables.ts'

export const command: Command = {
  usage: ['[--check [--json]]'],
  description: [
    'Runs the server. Its settings are environment variables. Without any it runs the demo: certificates in certs/, state in data/, address https://localhost:8443.',
    'SIGHUP reloads the files. SIGTERM stops the server after the requests under way.',
  ],
  options: [
    {
      name: 'check',
      help: 'Does not start the server: reports whether settings and files are valid, without connecting to other machines. tlsbound doctor also connects to issuers, webhooks and the database',
    },
    { name: 'json', help: 'With --check, writes the findings as JSON' },
  ],
  environment: Object.values(settingsTable).map(({ name, shown, meaning }) => ({
    name,
    fallback: shown.replaceAll('`', ''),
    help: meaning.replaceAll('`', ''),
  })),
  failure: 'the server could not start, or with --check: a check failed',
  examples: ['tlsbound serve', 'TLSBOUND_PORT=9000 tlsbound serve', 'tlsbound serve --check'],
  async run(values) {
    if (values.check === true) {
      const { examineHere, report } = await import('./doctor.ts') // not needed to run the server
      return report(await examineHere(false), values.json === true)
    }
    if (values.json === true) throw new UsageError('--json requires --check')
    return main(process.env, clientVariables)
  },
}
