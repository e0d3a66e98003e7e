// What a command of the command line is. Help, completion, the man page and the reference page are made from this description.
import { findSimilarName } from '../core/similar-name.ts'

export type Values = Readonly<Record<string, string | boolean | undefined>>

export interface Command {
  /** The arguments after the command's name, one line for each way to call it. */
  readonly usage: readonly string[]
  /** Paragraphs. */
  readonly description: readonly string[]
  /** The first positional argument names one of these. */
  readonly actions?: readonly Action[]
  /** Whether arguments may stand beside the options, and what they are; `run` checks how many there are. */
  readonly positionals?: Positionals
  /** --help is added to each. */
  readonly options: readonly Option[]
  /** Paragraphs that follow a group of options, by its heading. */
  readonly groupNotes?: Readonly<Record<string, string>>
  /** Environment variables that no option stands for. */
  readonly environment?: readonly EnvironmentVariable[]
  /** When the exit code is 1; 0 and 2 mean the same for all commands. */
  readonly failure?: string
  /** Command lines to copy. */
  readonly examples: readonly string[]
  /** @throws UsageError (or rejects) when the arguments are wrong. */
  run(values: Values, positionals: readonly string[]): void | Promise<void>
}

export interface Option {
  readonly name: string
  readonly short?: string
  /** What stands for the value in help, such as FILE. An option without it is a switch. */
  readonly value?: string
  /** May be given several times. */
  readonly multiple?: true
  /** A sentence without its full stop. */
  readonly help: string
  /** The environment variable that is read when the option is not given. */
  readonly variable?: string
  /** In force without option and variable, as help shows it. */
  readonly fallback?: string
  /** All values, if there are few. */
  readonly choices?: readonly string[]
  /** The heading in help below which the option stands. Default: Options. */
  readonly group?: string
}

export interface Action {
  readonly name: string
  /** Its arguments, such as ID. */
  readonly positionals: readonly string[]
  readonly help: string
}

export interface Positionals {
  /** Such as FILE. */
  readonly value: string
  readonly choices?: readonly string[]
}

export interface EnvironmentVariable {
  readonly name: string
  readonly fallback: string
  readonly help: string
}

/** A command with its name and summary, as src/cli/commands.ts lists it. */
export interface NamedCommand extends Command {
  readonly name: string
  readonly summary: string
}

/** A mistake in the arguments of the call. */
export class UsageError extends Error {}

/** Finds the action that the first argument names. @throws UsageError */
export function requireAction<T extends Action>(actions: readonly T[], name: string | undefined): T {
  const names = actions.map(action => action.name)
  const found = actions.find(action => action.name === name)
  if (found !== undefined) return found
  if (name === undefined) throw new UsageError(`an action is missing, expected: ${names.join(', ')}`)
  throw new UsageError(`there is no action ${name}${suggest(name, names) || `, expected: ${names.join(', ')}`}`)
}

/** Returns the end of a message about an unknown name: the known one that may be meant, or nothing. */
export function suggest(name: string, known: readonly string[], prefix = ''): string {
  if (name.length < 3) return '' // anything short is near to it
  const words = known.map(candidate => candidate.replaceAll('-', '_')) // which is how similar names are split
  const similar = findSimilarName(name.replaceAll('-', '_'), words)
  return similar === undefined ? '' : `; did you mean ${prefix}${known[words.indexOf(similar)]}?`
}
