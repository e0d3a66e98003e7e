// What a command of the command line is.
import type { parseArgs } from 'node:util'

export interface Command {
  readonly help: string
  /** In the form of util.parseArgs; --help is added to each. */
  readonly options: NonNullable<Parameters<typeof parseArgs>[0]>['options']
  run(values: Readonly<Record<string, string | boolean | undefined>>): void | Promise<void>
}

/** A mistake in the words of the call. */
export class UsageError extends Error {}
