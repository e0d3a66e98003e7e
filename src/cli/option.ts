// An option of a client command, and the environment variable that stands for it.
import type { Form } from '../settings/forms.ts'
import { type Command, UsageError, type Values } from './command.ts'

export interface Option<T> {
  readonly name: string
  readonly variable: string
  readonly form: Form<T>
}

export const anyText: Form<string> = { words: 'a text', read: text => text }

/** The options in the form of util.parseArgs. */
export function declareOptions(options: readonly Option<unknown>[]): Command['options'] {
  return Object.fromEntries(options.map(({ name }) => [name, { type: 'string' } as const]))
}

/** Reads an option, else its variable; undefined without both. @throws UsageError when it is not of its form. */
export type ReadOption = <T>(option: Option<T>) => T | undefined

export function createOptionReader(values: Values, env: NodeJS.ProcessEnv): ReadOption {
  return ({ name, variable, form }) => {
    const option = values[name]
    const given = option ?? (env[variable] || undefined)
    if (given === undefined) return undefined
    const value = form.read(String(given))
    if (value === undefined)
      throw new UsageError(`${option === undefined ? variable : `--${name}`} must be ${form.words}`)
    return value
  }
}

/** What a repeatable option was given, in order. */
export function readList(values: Values, name: string): string[] {
  const given: unknown = values[name]
  return Array.isArray(given) ? given.map(String) : []
}

/** Leaves out what was not given. */
export function present<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}
