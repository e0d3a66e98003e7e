// What the completion scripts of all shells derive from the descriptions of the commands.
import type { NamedCommand, Option } from '../command.ts'
import { helpOption } from '../parse.ts'

/** How a value is completed: from a list, with a file or folder name, or not at all. */
export type ValueKind = { readonly kind: 'list'; readonly choices: readonly string[] } | { readonly kind: Kind }
type Kind = 'file' | 'folder' | 'other'

const kinds: Readonly<Record<string, Kind>> = {
  FILE: 'file',
  'FILE...': 'file',
  PATH: 'file',
  FOLDER: 'folder',
}

/** Returns how the value of an option or a positional argument is completed. */
export function valueKindOf({
  value,
  choices,
}: {
  readonly value?: string
  readonly choices?: readonly string[]
}): ValueKind {
  if (choices !== undefined) return { kind: 'list', choices }
  return { kind: (value === undefined ? undefined : kinds[value]) ?? 'other' }
}

/** Returns all options of a command. */
export function optionsOf({ options }: NamedCommand): readonly Option[] {
  return [...options, helpOption]
}

/** Returns the spellings of an option: `-X` and `--request`. */
export function spellingsOf({ name, short }: Option): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${name}`]
}

/** Returns how a positional argument of a command is completed. */
export function positionalKindOf({ actions, positionals }: NamedCommand): ValueKind {
  if (positionals !== undefined) return valueKindOf(positionals)
  return actions?.some(action => action.positionals.some(value => kinds[value] === 'file'))
    ? { kind: 'file' }
    : { kind: 'other' }
}

/** Quotes a text for a shell in single quotes. Bash and zsh close the quotes for a quote; fish escapes it. */
export function quote(text: string, escaped = `'\\''`): string {
  return `'${text.replaceAll("'", escaped)}'`
}
