// One unit of work on an SQL database, written once for both stores: a generator that asks statements and gets rows.
// SQLite performs it in one go, so that many fit into one transaction; PostgreSQL awaits each answer.
import type { DetailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'

export type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** A statement with `?` for each of its values. */
export interface Statement {
  readonly sql: string
  readonly values: readonly Value[]
}

export type Work<T> = Generator<Statement, T, readonly Row[]>

/** How a database does units of work. A work that throws has changed nothing. */
export interface Performer {
  /** Changes something, in one transaction; the work may be begun again from its start. */
  write<T>(work: () => Work<T>): Promise<T>
  /** Changes nothing: the statements may see different moments. */
  read<T>(work: () => Work<T>): Promise<T>
  /** Holds up revocations until the transaction ends, and other uses of the refresh token with the given hash. */
  readonly lockRefresh?: string
  /** An expression for the time by the database's own clock, which its servers share: whole milliseconds since 1970. */
  readonly clock?: string
  /** Waits until no refresh is under way, and holds up all others until the transaction ends. */
  readonly lockRevocations?: string
  /** Ends a SELECT that others may do at the same time: their rows are not seen, and these are locked. */
  readonly skipLocked?: string
}

/** Asks one statement: `const rows = yield* ask('SELECT …', value)`. */
export function* ask(sql: string, ...values: Value[]): Work<readonly Row[]> {
  return yield { sql, values }
}

/** The refusal that stands for a store that cannot answer; what it said stays inside. */
export function unavailable(cause: unknown, detail: DetailOf<'store_unavailable'> = 'no_answer'): OAuthError {
  return Object.assign(new OAuthError('temporarily_unavailable', 'store_unavailable', detail), { cause })
}
