// Keeps man/tlsbound.1 true: the page is written from the descriptions of the commands, as help is.
// `node scripts/man.ts` exits 1 when the page differs; with --write it writes the page.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { NamedCommand } from '../src/cli/command.ts'
import { loadCommands } from '../src/cli/commands.ts'
import { describeExit, describeMeaning, describeOption, groupOptions } from '../src/cli/help.ts'

const path = 'man/tlsbound.1'
const page = renderMan(await loadCommands())

if (process.argv.includes('--write')) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, page)
} else if (read() !== page) {
  console.error(`${path} differs from the commands: run node scripts/man.ts --write`)
  process.exitCode = 1
}

function read(): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Writes the page in the man macros. */
function renderMan(commands: readonly NamedCommand[]): string {
  const lines = [
    '.\\" Written by scripts/man.ts from the descriptions of the commands.',
    '.TH TLSBOUND 1 "" tlsbound "User commands"',
    '.SH NAME',
    'tlsbound \\- OAuth 2.0 server whose tokens work only on the TLS connection that they were issued to, and its tools',
    '.SH SYNOPSIS',
    '.B tlsbound',
    'COMMAND [OPTIONS]',
    '.br',
    '.B tlsbound help',
    '[COMMAND]',
    '.br',
    '.B tlsbound \\-\\-version',
    '.SH COMMANDS',
    ...commands.flatMap(({ name, summary }) => entry(name, summary)),
    ...commands.flatMap(renderCommand),
    '.SH "EXIT STATUS"',
    ...entry('0', 'Success.'),
    ...entry('1', 'The command failed, or what it verified is not valid; each command says when.'),
    ...entry('2', 'Wrong usage.'),
    '.SH ENVIRONMENT',
    ...entry('NO_COLOR', 'Switches colour off.'),
    ...entry('FORCE_COLOR', 'Switches colour on, also without a terminal.'),
    'The settings of the server are listed with the command serve, other variables beside their option.',
  ]
  return `${lines.join('\n')}\n`
}

function renderCommand(command: NamedCommand): string[] {
  const { name, usage, description, actions, environment, examples } = command
  return [
    `.SH "TLSBOUND ${name.toUpperCase()}"`,
    ...usage.flatMap((line, index) => [
      ...(index > 0 ? ['.br'] : []),
      `.B tlsbound ${name}`,
      ...(line === '' ? [] : [escapeText(line)]),
    ]),
    ...description.flatMap(paragraph => ['.PP', escapeText(paragraph)]),
    ...(actions === undefined ? [] : ['.SS Actions']),
    ...(actions ?? []).flatMap(action => entry([action.name, ...action.positionals].join(' '), action.help)),
    ...groupOptions(command).flatMap(({ heading, options, note }) => [
      `.SS "${heading}"`,
      ...options.flatMap(option => entry(describeOption(option), describeMeaning(option))),
      ...(note === undefined ? [] : ['.PP', escapeText(note)]),
    ]),
    ...(environment === undefined ? [] : ['.SS Environment']),
    ...(environment ?? []).flatMap(({ name, help, fallback }) => entry(name, `${help} (default: ${fallback})`)),
    '.SS "Exit codes"',
    escapeText(describeExit(command)),
    '.SS Examples',
    '.nf',
    ...examples.map(escapeText),
    '.fi',
  ]
}

function entry(term: string, text: string): string[] {
  return ['.TP', `.B ${escapeText(term)}`, escapeText(text)]
}

/** What roff would take as a request or as typography. */
function escapeText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replace(/^(?=[.'])/gm, '\\&')
}
