#!/usr/bin/env node
// argv → one of the commands below. Results on stdout, talk on stderr; exit 0 done, 1 refused or failed, 2 wrong usage.
import '../process/check-node.js'
import '../process/no-debugger.js'
import { parseArgs } from 'node:util'
import { printable } from '../core/printable.ts'
import { type Command, UsageError, type Values } from './command.ts'

/** Imported when asked for, so that help is quick and each command loads only what it needs. */
const commands = {
  serve: () => import('./serve.ts'),
  certs: () => import('./certs.ts'),
  doctor: () => import('./doctor.ts'),
  token: () => import('./token.ts'),
  call: () => import('./call.ts'),
  inspect: () => import('./inspect.ts'),
  sidecar: () => import('./sidecar.ts'),
  clients: () => import('./clients.ts'),
  revoke: () => import('./revoke.ts'),
  scan: () => import('./scan.ts'),
  keys: () => import('./keys.ts'),
  audit: () => import('./audit.ts'),
  lab: () => import('./lab.ts'),
} as const

const usage = `Usage: tlsbound COMMAND [OPTIONS]

  serve    run the server; settings come from the environment (TLSBOUND_…)
  certs    make the demo's certificates
  doctor   say what is wrong with settings, files or a running server, and what to do
  token    get an access token, and say where it may be used
  call     send one request with a token, in the manners of curl
  inspect  explain a token, and whether it would be accepted
  sidecar  let any program use one server in plain HTTP
  clients  list and change the clients of a running server
  revoke   end tokens of a running server
  scan     find tokens that have leaked, and report them
  keys     list and rotate the signing keys
  audit    verify that security events are as they were written
  lab      play the thief against a server, and report what it refuses

tlsbound COMMAND --help tells more.
`

async function run([name, ...args]: readonly string[]): Promise<void> {
  if (name === '--help' || name === '-h') return void process.stdout.write(usage)
  const load = Object.entries(commands).find(([command]) => command === name)?.[1]
  if (load === undefined)
    throw new UsageError(name === undefined ? 'a command is missing' : `there is no command ${name}`)
  const { command }: { command: Command } = await load()
  const { values, positionals } = parse(args, command)
  if (values.help === true) return void process.stdout.write(command.help)
  await command.run(values as Values, positionals)
}

function parse(args: readonly string[], { options, takesWords = false }: Command): ReturnType<typeof parseArgs> {
  try {
    return parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: takesWords,
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

run(process.argv.slice(2)).catch((error: unknown) => {
  const wrongUsage = error instanceof UsageError
  const words = (error as Error).message.split('\n').map(printable).join('\n') // a server's own are among them
  process.stderr.write(`tlsbound: ${words}\n${wrongUsage ? `\n${usage}` : ''}`)
  process.exitCode = wrongUsage ? 2 : 1
})
