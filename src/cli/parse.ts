// Parses the arguments of a command into options and positional arguments. It uses util.parseArgs, but its own
// messages, which suggest similar names.
import { parseArgs } from 'node:util'
import { describeFileContent, isFileContent } from '../core/file-content.ts'
import { type Command, type Option, showArgument, suggest, UsageError, type Values } from './command.ts'
import { declareOptions } from './option.ts'

export const helpOption: Option = { name: 'help', short: 'h', help: 'Shows this help' }

export interface Arguments {
  readonly values: Values
  readonly positionals: readonly string[]
}

/** Parses the arguments of a command. @throws UsageError */
export function parseArguments(args: readonly string[], { options, positionals, actions }: Command): Arguments {
  const known = [...options, helpOption]
  const parsed = parseArgs({
    args: [...args],
    options: declareOptions(known),
    strict: false,
    tokens: true,
    allowPositionals: true,
  })
  for (const token of parsed.tokens) if (token.kind === 'option') checkOption(token, known)
  for (const positional of parsed.positionals) checkPath(positional, positionals?.value, positionals?.value)
  const [first] = parsed.positionals
  const isWanted = positionals !== undefined || actions !== undefined || parsed.values.help === true
  if (first !== undefined && !isWanted) throw new UsageError(`unexpected argument ${showArgument(first)}`)
  return { values: parsed.values as Values, positionals: parsed.positionals }
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

function checkOption({ name, rawName, value, inlineValue }: OptionToken, known: readonly Option[]): void {
  const shown = showArgument(rawName)
  const option = known.find(candidate => candidate.name === name)
  if (option === undefined) {
    const names = known.map(candidate => candidate.name)
    throw new UsageError(`there is no option ${shown}${suggest(name, names, '--')}`)
  }
  if (option.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} is a switch and takes no value`)
  } else if (value === undefined) throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}`)
  else if (inlineValue !== true && isLikeOption(value) && !isFileContent(value))
    throw new UsageError(`${rawName} is followed by ${value}; if that is its value, write --${name}=${value}`)
  checkPath(value, option.value, rawName)
}

/** A hash in base64url begins with a hyphen in one of 64 cases, and is a value. */
function isLikeOption(value: string): boolean {
  return /^--.|^-.$/s.test(value)
}

/** The placeholders of arguments that are paths. */
const pathPlaceholders: readonly unknown[] = ['FILE', 'FOLDER', 'PATH']

/** @throws UsageError for the content of a file in the place of its path: it may be a key, and later messages quote paths. */
function checkPath(value: string | undefined, placeholder: string | undefined, name: string | undefined): void {
  if (value !== undefined && pathPlaceholders.includes(placeholder) && isFileContent(value))
    throw new UsageError(`${name} must be a path, not ${describeFileContent(value)}`)
}
