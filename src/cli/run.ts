// Runs the command of the arguments. Results go to stdout, messages to stderr. Exit code: 0 success, 1 rejected or failed, 2 wrong
// usage.
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { type NamedCommand, showArgument, suggest, UsageError } from './command.ts'
import { commands, loadCommand } from './commands.ts'
import { renderHelp, renderUsage } from './help.ts'
import { clearProgress, paint } from './output.ts'
import { parseArguments } from './parse.ts'
import { readVersion } from './version.ts'

/** The command to refer to in usage errors; undefined until it is known. */
let called: string | undefined

async function run([name, ...args]: readonly string[]): Promise<void> {
  if (name === '--version' || name === '-V') return write(`${readVersion()}\n`)
  if (name === '--help' || name === '-h' || (name === 'help' && (args.length === 0 || args[0] === '--help')))
    return write(renderUsage(emphasize))
  if (name === 'help') return write(renderHelp(await requireCommand(args[0]), emphasize))
  const command = await requireCommand(name)
  called = command.name
  const { values, positionals } = parseArguments(args, command)
  if (values.help === true) return write(renderHelp(command, emphasize))
  await command.run(values, positionals)
}

/** @throws UsageError (rejects) */
async function requireCommand(name: string | undefined): Promise<NamedCommand> {
  if (name === undefined) throw new UsageError('a command is missing')
  const command = await loadCommand(name)
  if (command !== undefined) return command
  const known = [...Object.keys(commands), 'help']
  if (name.startsWith('-')) throw new UsageError(`there is no option ${showArgument(name)} before a command`)
  throw new UsageError(`there is no command ${showArgument(name)}${suggest(name, known)}`)
}

function emphasize(heading: string): string {
  return paint('bold', heading)
}

function write(text: string): void {
  process.stdout.write(text)
}

run(process.argv.slice(2)).catch((error: unknown) => {
  clearProgress()
  const isUsage = error instanceof UsageError
  const text = (error as Error).message.split('\n').map(escapeForDisplay).join('\n') // may contain text of a server
  const advice = isUsage ? `see tlsbound ${called === undefined ? '' : `${called} `}--help\n` : ''
  process.stderr.write(`${paint('red', 'tlsbound:', process.stderr)} ${text}\n${advice}`)
  process.exitCode = isUsage ? 2 : 1
})
