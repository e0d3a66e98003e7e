// The completion script for fish, with the explanations of help.
import type { NamedCommand, Option } from '../command.ts'
import { optionsOf, positionalKindOf, quote, type ValueKind, valueKindOf } from './described.ts'

/** Generates the completion script. */
export function renderFish(commands: readonly NamedCommand[]): string {
  const first = [...commands, { name: 'help', summary: 'shows the help of a command' }]
  const names = commands.map(({ name }) => name).join(' ')
  return [
    '# Completion of tlsbound for fish. Written by: tlsbound completion fish',
    'complete -c tlsbound -f',
    'complete -c tlsbound -n __fish_use_subcommand -s h -l help -d "Shows the help"',
    'complete -c tlsbound -n __fish_use_subcommand -s V -l version -d "Shows the version"',
    ...first.map(
      ({ name, summary }) => `complete -c tlsbound -n __fish_use_subcommand -a ${name} -d ${quoteText(summary)}`,
    ),
    `complete -c tlsbound -n '__fish_seen_subcommand_from help' -a ${quoteText(names)}`,
    ...commands.flatMap(renderCommand),
    '',
  ].join('\n')
}

function renderCommand(command: NamedCommand): string[] {
  const { name, actions } = command
  const isUsed = `__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from help`
  const options = optionsOf(command).map(option => renderOption(isUsed, option))
  const isActionMissing = `${isUsed}; and test (count (commandline -opc)) -eq 2`
  const actionLines = (actions ?? []).map(
    ({ name, help }) =>
      `complete -c tlsbound -n ${quoteText(isActionMissing)} -a ${quoteText(name)} -d ${quoteText(help)}`,
  )
  const positional = complete(positionalKindOf(command))
  const afterAction = actions === undefined ? isUsed : `${isUsed}; and test (count (commandline -opc)) -gt 2`
  const positionalLines = positional === '' ? [] : [`complete -c tlsbound -n ${quoteText(afterAction)}${positional}`]
  return [...options, ...actionLines, ...positionalLines]
}

function renderOption(condition: string, option: Option): string {
  const { name, short, help, value } = option
  const spellings = `${short === undefined ? '' : ` -s ${short}`} -l ${name}`
  const argument = value === undefined ? '' : ` -r${complete(valueKindOf(option))}`
  return `complete -c tlsbound -n ${quoteText(condition)}${spellings}${argument} -d ${quoteText(help)}`
}

function complete(value: ValueKind): string {
  if (value.kind === 'list') return ` -a ${quoteText(value.choices.join(' '))}`
  return value.kind === 'file' ? ' -F' : value.kind === 'folder' ? ` -a '(__fish_complete_directories)'` : ''
}

function quoteText(text: string): string {
  return quote(text.replaceAll('\\', '\\\\'), `\\'`)
}
