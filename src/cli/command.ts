// The description of a command. Help, completion, the man page and the reference page are generated from it.
import { describeFileContent, isFileContent } from '../core/file-content.ts'
import { findSimilarName } from '../core/similar-name.ts'

export type Values = Readonly<Record<string, string | boolean | undefined>>

export interface Command {
  /** The arguments after the command's name, one line for each way to call it. */
  readonly usage: readonly string[]
  /** The description, in paragraphs. */
  readonly description: readonly string[]
  /** The actions that the first positional argument selects. */
  readonly actions?: readonly Action[]
  /** The positional arguments, if there are any; `run` checks their number. */
  readonly positionals?: Positionals
  /** The options; --help is added to each command. */
  readonly options: readonly Option[]
  /** Paragraphs after a group of options, by its heading. */
  readonly groupNotes?: Readonly<Record<string, string>>
  /** Environment variables without an option. */
  readonly environment?: readonly EnvironmentVariable[]
  /** When the exit code is 1; 0 and 2 are the same for all commands. */
  readonly failure?: string
  /** Command lines to copy. */
  readonly examples: readonly string[]
  /** Runs the command. @throws UsageError (or rejects) when the arguments are wrong. */
  run(values: Values, positionals: readonly string[]): void | Promise<void>
}

export interface Option {
  readonly name: string
  readonly short?: string
  /** The placeholder of the value in help, such as FILE. An option without it is a switch. */
  readonly value?: string
  /** May be given several times. */
  readonly multiple?: true
  /** A sentence without a full stop. */
  readonly help: string
  /** The environment variable that sets the option when it is not given. */
  readonly variable?: string
  /** The default, as help shows it. */
  readonly fallback?: string
  /** The allowed values. */
  readonly choices?: readonly string[]
  /** The heading of the option in help. Default: Options. */
  readonly group?: string
}

export interface Action {
  readonly name: string
  /** Its arguments, such as ID. */
  readonly positionals: readonly string[]
  readonly help: string
}

export interface Positionals {
  /** The placeholder, such as FILE. */
  readonly value: string
  readonly choices?: readonly string[]
}

export interface EnvironmentVariable {
  readonly name: string
  readonly fallback: string
  readonly help: string
}

/** A command with its name and summary from src/cli/commands.ts. */
export interface NamedCommand extends Command {
  readonly name: string
  readonly summary: string
}

/** An error in the arguments of a call. */
export class UsageError extends Error {}

/** Returns an argument for a message; the content of a file, which may be a key, is described instead. */
export function showArgument(argument: string): string {
  return isFileContent(argument) ? `(${describeFileContent(argument)}, not shown)` : argument
}

/** Returns the action that the first argument names. @throws UsageError */
export function requireAction<T extends Action>(actions: readonly T[], name: string | undefined): T {
  const names = actions.map(action => action.name)
  const found = actions.find(action => action.name === name)
  if (found !== undefined) return found
  if (name === undefined) throw new UsageError(`an action is missing, expected: ${names.join(', ')}`)
  throw new UsageError(
    `there is no action ${showArgument(name)}${suggest(name, names) || `, expected: ${names.join(', ')}`}`,
  )
}

/** Returns the end of a message about an unknown name: the similar known name, or nothing. */
export function suggest(name: string, known: readonly string[], prefix = ''): string {
  if (name.length < 3) return '' // every short name is similar
  const words = known.map(candidate => candidate.replaceAll('-', '_')) // findSimilarName splits at underscores
  const similar = findSimilarName(name.replaceAll('-', '_'), words)
  return similar === undefined ? '' : `; did you mean ${prefix}${known[words.indexOf(similar)]}?`
}
