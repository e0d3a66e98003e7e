// A unit of work on an SQL database, written once for both stores: a generator that yields statements and receives rows.
// SQLite performs it synchronously, so that many fit into one transaction; PostgreSQL awaits each response.
import type { DetailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'

export type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** A statement with one `?` per value. */
export interface Statement {
  readonly sql: string
  readonly values: readonly Value[]
  /** Whether each row is the list of its values: faster where there are a million. */
  readonly asLists?: boolean
}

export type Work<T> = Generator<Statement, T, readonly Row[]>

/** How a database performs units of work. A work that throws has changed nothing. */
export interface Performer {
  /** Performs changes in one transaction. The work may be restarted from its beginning. */
  write<T>(work: () => Work<T>): Promise<T>
  /** Performs reads only. Its statements may see different snapshots. */
  read<T>(work: () => Work<T>): Promise<T>
  /** Blocks revocations, and other uses of the refresh token with the given hash, until the transaction ends. */
  readonly lockRefresh?: string
  /** An SQL expression for the time of the database's clock, shared by its servers: whole milliseconds since 1970. */
  readonly clock?: string
  /** Waits until no refresh is in progress, and blocks refreshes until the transaction ends. */
  readonly lockRevocations?: string
  /** The end of a SELECT that locks its rows and skips rows that others have locked. */
  readonly skipLocked?: string
}

/** Executes one statement: `const rows = yield* ask('SELECT …', value)`. */
export function* ask(sql: string, ...values: Value[]): Work<readonly Row[]> {
  return yield { sql, values }
}

/** Executes one statement; each row is the list of its values, in the order of the columns. */
export function* askForLists(sql: string, ...values: Value[]): Work<readonly (readonly Value[])[]> {
  return (yield { sql, values, asLists: true }) as unknown as readonly (readonly Value[])[]
}

/** Returns the refusal for an unavailable store. Its message is not exposed. */
export function unavailable(cause: unknown, detail: DetailOf<'store_unavailable'> = 'no_answer'): OAuthError {
  return Object.assign(new OAuthError('temporarily_unavailable', 'store_unavailable', detail), { cause })
}
