// tlsbound serve: the server, until a signal ends it.
import { main } from '../main.ts'
import type { Command } from './command.ts'

export const command: Command = {
  help: `Usage: tlsbound serve

Runs the server. Settings come from environment variables with the prefix TLSBOUND_; without any it runs the demo:
certificates in certs/, state in data/, https://localhost:8443. SIGHUP loads the files again, SIGTERM ends it.
`,
  options: {},
  run: () => main(process.env),
}
