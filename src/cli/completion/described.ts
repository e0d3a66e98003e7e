// What the completion of every shell needs from the descriptions of the commands.
import type { NamedCommand, Option } from '../command.ts'
import { helpOption } from '../parse.ts'

/** What completes a value: one of a list, the name of a file or folder, or nothing. */
export type ValueKind = { readonly kind: 'list'; readonly choices: readonly string[] } | { readonly kind: Kind }
type Kind = 'file' | 'folder' | 'other'

const kinds: Readonly<Record<string, Kind>> = {
  FILE: 'file',
  'FILE...': 'file',
  PATH: 'file',
  FOLDER: 'folder',
}

/** What completes the value of an option or a positional argument. */
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

/** All options of a command. */
export function optionsOf({ options }: NamedCommand): readonly Option[] {
  return [...options, helpOption]
}

/** How an option is written on a command line: `-X` and `--request`. */
export function spellingsOf({ name, short }: Option): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${name}`]
}

/** What completes a positional argument of a command. */
export function positionalKindOf({ actions, positionals }: NamedCommand): ValueKind {
  if (positionals !== undefined) return valueKindOf(positionals)
  return actions?.some(action => action.positionals.some(value => kinds[value] === 'file'))
    ? { kind: 'file' }
    : { kind: 'other' }
}

/** Quotes a text for a shell, in single quotes. Bash and zsh end the quotes for a quote; fish escapes it. */
export function quote(text: string, escaped = `'\\''`): string {
  return `'${text.replaceAll("'", escaped)}'`
}
