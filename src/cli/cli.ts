#!/usr/bin/env node
// argv → serve | certs | clients | revoke | keys. Results on stdout, talk on stderr; exit 0 done, 1 refused or failed, 2 wrong usage.
import '../check-node.js'
import { parseArgs } from 'node:util'
import { type Command, UsageError, type Values } from './command.ts'

/** Imported when asked for, so that help is quick and each command loads only what it needs. */
const commands = {
  serve: () => import('./serve.ts'),
  certs: () => import('./certs.ts'),
  clients: () => import('./clients.ts'),
  revoke: () => import('./revoke.ts'),
  keys: () => import('./keys.ts'),
} as const

const usage = `Usage: tlsbound COMMAND [OPTIONS]

  serve    run the server; settings come from the environment (TLSBOUND_…)
  certs    make the demo's certificates
  clients  list and change the clients of a running server
  revoke   end tokens of a running server
  keys     list and rotate the signing keys

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
  process.stderr.write(`tlsbound: ${(error as Error).message}\n${wrongUsage ? `\n${usage}` : ''}`)
  process.exitCode = wrongUsage ? 2 : 1
})
