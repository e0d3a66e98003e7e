// What a command of the command line is.
import type { parseArgs } from 'node:util'

export type Values = Readonly<Record<string, string | boolean | undefined>>

export interface Command {
  readonly help: string
  /** In the form of util.parseArgs; --help is added to each. */
  readonly options: NonNullable<Parameters<typeof parseArgs>[0]>['options']
  /** Whether words may stand beside the options; how many there must be is for `run` to say. */
  readonly takesWords?: boolean
  /** @throws UsageError (or rejects) when the words of the call are wrong. */
  run(values: Values, words: readonly string[]): void | Promise<void>
}

/** A mistake in the words of the call. */
export class UsageError extends Error {}
