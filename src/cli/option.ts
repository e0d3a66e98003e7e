// Declares the options of commands and reads their values, from the command line or the environment.
import type { ParseArgsOptionsConfig } from 'node:util'
import { type Form, oneOf } from '../settings/forms.ts'
import { type Option, UsageError, type Values } from './command.ts'

export type { Option } from './command.ts'

/** An option whose value has a syntax. */
export interface ValueOption<T> extends Option {
  readonly value: string
  readonly form: Form<T>
}

/** Declares an option with a fixed set of values. */
export function choiceOption<const T extends string>(
  option: Option & { readonly value: string },
  ...choices: T[]
): ValueOption<T> {
  return { ...option, choices, form: oneOf(...choices) }
}

export const anyText: Form<string> = { words: 'text', parse: text => text }

export const jsonOption: Option = { name: 'json', help: 'Writes the result as JSON' }

/** Converts options for util.parseArgs. */
export function declareOptions(options: readonly Option[]): ParseArgsOptionsConfig {
  return Object.fromEntries(
    options.map(({ name, short, value, multiple = false }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', multiple, ...(short !== undefined && { short }) },
    ]),
  )
}

/** Reads an option, else its variable; undefined without both. @throws UsageError for an invalid value. */
export type ReadOption = <T>(option: ValueOption<T>) => T | undefined

/** Creates a reader of the options of one call. */
export function createOptionReader(values: Values, env: NodeJS.ProcessEnv): ReadOption {
  return ({ name, variable, form }) => {
    const option = values[name]
    const given = option ?? (variable === undefined ? undefined : env[variable] || undefined)
    if (given === undefined) return undefined
    const value = form.parse(String(given))
    if (value === undefined)
      throw new UsageError(`${option === undefined ? variable : `--${name}`} must be ${form.words}`)
    return value
  }
}

/** Returns the values of a repeatable option in order. */
export function readList(values: Values, name: string): string[] {
  const given: unknown = values[name]
  return Array.isArray(given) ? given.map(String) : []
}

/** Removes undefined members. */
export function present<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}
