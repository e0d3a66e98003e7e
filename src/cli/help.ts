// The help of the command line, generated from the descriptions of the commands.
import type { NamedCommand, Option } from './command.ts'
import { commands } from './commands.ts'
import { helpOption } from './parse.ts'

/** Styles a heading. */
export type Emphasize = (heading: string) => string

const width = 100
/** The column where explanations begin. */
const column = 28

const intro =
  'An OAuth 2.0 server and its tools. Its tokens work only on the TLS connection and for the client certificate that they were issued to.'

/** Renders the help of `tlsbound` itself. */
export function renderUsage(emphasize: Emphasize = heading => heading): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => renderRow(name, summary))
  return [
    `${emphasize('Usage:')} tlsbound COMMAND [OPTIONS]`,
    '',
    ...wrap(intro, width),
    '',
    emphasize('Commands:'),
    ...rows,
    renderRow('help [COMMAND]', 'shows the help of a command'),
    '',
    emphasize('Options:'),
    renderRow('-h, --help', 'Shows this help'),
    renderRow('-V, --version', 'Shows the version'),
    '',
    'See tlsbound COMMAND --help for the options of a command.',
    '',
  ].join('\n')
}

/** Renders the help of one command. */
export function renderHelp(command: NamedCommand, emphasize: Emphasize = heading => heading): string {
  const { name, usage, description, actions, environment, examples } = command
  const section = (heading: string, lines: readonly string[]) => ['', emphasize(`${heading}:`), ...lines]
  return [
    ...usage.map((line, index) => `${index === 0 ? emphasize('Usage:') : '      '} tlsbound ${name} ${line}`.trimEnd()),
    ...description.flatMap(paragraph => ['', ...wrap(paragraph, width)]),
    ...(actions === undefined
      ? []
      : section(
          'Actions',
          actions.map(action => renderRow([action.name, ...action.positionals].join(' '), action.help)),
        )),
    ...groupOptions(command).flatMap(({ heading, options, note }) => [
      ...section(
        heading,
        options.map(option => renderRow(describeOption(option), describeMeaning(option))),
      ),
      ...(note === undefined ? [] : ['', ...wrap(note, width)]),
    ]),
    ...(environment === undefined
      ? []
      : section(
          'Environment',
          environment.map(({ name, help, fallback }) => renderRow(name, `${help} (default: ${fallback})`)),
        )),
    ...section(
      'Exit codes',
      wrap(describeExit(command), width - 2).map(line => `  ${line}`),
    ),
    ...section(
      'Examples',
      examples.map(example => `  ${example}`),
    ),
    '',
  ].join('\n')
}

/** Renders a group of options with its heading. */
export interface OptionGroup {
  readonly heading: string
  readonly options: readonly Option[]
  readonly note: string | undefined
}

/** Groups the options of a command with --help by heading; those without a heading come first. */
export function groupOptions({ options, groupNotes = {} }: NamedCommand): OptionGroup[] {
  const first = 'Options'
  const groups = Map.groupBy([...options, helpOption], ({ group = first }) => group)
  return [...groups]
    .sort(([one], [other]) => Number(one !== first) - Number(other !== first))
    .map(([heading, members]) => ({ heading, options: members, note: groupNotes[heading] }))
}

/** Renders an option, such as "-H, --header HEADER". */
export function describeOption({ name, short, value }: Option): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

/** Renders the help of an option with its variable and its default. */
export function describeMeaning({ help, variable, fallback }: Option): string {
  const facts = [variable, fallback === undefined ? undefined : `default: ${fallback}`].filter(Boolean)
  return facts.length === 0 ? help : `${help} (${facts.join('; ')})`
}

/** Describes the exit codes of a command in one sentence. */
export function describeExit({ failure = 'the command failed' }: NamedCommand): string {
  return `0: success. 1: ${failure}. 2: wrong usage.`
}

function renderRow(term: string, text: string): string {
  const [first = '', ...rest] = wrap(text, width - column)
  const indent = ' '.repeat(column)
  const head = `  ${term}`
  const lines = head.length < column - 1 ? [head.padEnd(column) + first] : [head, indent + first]
  return [...lines, ...rest.map(line => indent + line)].join('\n')
}

/** Wraps a text into lines. */
function wrap(text: string, most: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > most) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
