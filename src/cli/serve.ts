// tlsbound serve: the server, until a signal ends it; or a look at its settings and files, before it is started.
import { main } from '../process/main.ts'
import { type Command, UsageError } from './command.ts'

export const command: Command = {
  help: `Usage: tlsbound serve [--check [--json]]

Runs the server. Settings come from environment variables with the prefix TLSBOUND_; without any it runs the demo:
certificates in certs/, state in data/, https://localhost:8443. SIGHUP loads the files again, SIGTERM ends it.

  --check                 start nothing: say whether settings and files can be used, without asking other machines;
                          exit 1 if something fails. tlsbound doctor also connects to issuers, webhooks and the database
  --json                  with --check, the findings as JSON
`,
  options: { check: { type: 'boolean' }, json: { type: 'boolean' } },
  async run(values) {
    if (values.check === true) {
      const { examineHere, report } = await import('./doctor.ts') // a server that serves does not need it
      return report(await examineHere(false), values.json === true)
    }
    if (values.json === true) throw new UsageError('--json goes with --check')
    return main(process.env)
  },
}
