// Requirements for a connection to PostgreSQL. A pooler or proxy may drop session settings or connect to a standby. So each
// connection is verified before use. A connection to a pooler is verified in each transaction, because the next one may run
// on another server connection.
import { type ClientBase, DatabaseError, type QueryResult } from 'pg'

/** The settings requested when a connection is opened. */
export interface Session {
  /** The schema of the tables: the first of the search path. */
  readonly schema: string
  readonly searchPath: readonly string[]
  /** In milliseconds. Time-outs that were not requested are not verified. */
  readonly timeouts: Readonly<Partial<Record<Timeout, number>>>
}

type Timeout = (typeof timeoutNames)[number]

export const timeoutNames = ['statement_timeout', 'idle_in_transaction_session_timeout'] as const

/** A connection that is not used, with a sentence about why and what to do. */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly detail: 'read_only' | 'session'

  constructor(detail: 'read_only' | 'session', sentence: string) {
    super(sentence)
    this.detail = detail
  }
}

const facts = `SELECT pg_backend_pid() AS pid, current_user AS role, current_setting('search_path') AS search_path,
  pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
  ${timeoutNames.map(name => `extract(epoch FROM current_setting('${name}')::interval) * 1000 AS ${name}`).join(', ')}`

type Facts = Readonly<Record<'role' | 'search_path' | Timeout, string>> & {
  readonly pid: number
  readonly standby: boolean
  readonly read_only: boolean
}

/** Connections on which a pooler, not a PostgreSQL process, responds. */
const pooled = new WeakSet<object>()

/** Verifies a newly opened connection. @throws SessionError (rejects) when it lacks the requested settings. */
export async function verifyConnection(client: ClientBase, session: Session): Promise<void> {
  const { rows } = await client.query<Facts>(facts)
  requireSession(rows[0] as Facts, session)
  const { processID } = client as ClientBase & { readonly processID: number }
  if (rows[0]?.pid !== processID) pooled.add(client)
}

/**
 * Runs `work` in one transaction. `verified`: verifies the connection in the transaction even if it leads directly to
 * PostgreSQL.
 * @throws SessionError (rejects) as above.
 */
export async function transact<T>(
  client: ClientBase,
  session: Session,
  use: () => Promise<T>,
  verified = pooled.has(client),
): Promise<T> {
  // Overrides the default isolation level: a read after a lock must see what its last owner committed.
  const begin = 'BEGIN ISOLATION LEVEL READ COMMITTED'
  if (verified) {
    const answers = (await client.query(`${begin}; ${facts}`)) as unknown as QueryResult<Facts>[] // in the same round trip
    requireSession(answers[1]?.rows[0] as Facts, session)
  } else await client.query(begin)
  const result = await use()
  await client.query('COMMIT')
  return result
}

/** Runs a read. It needs a transaction only if the connection must be verified in it. */
export function read<T>(client: ClientBase, session: Session, use: () => Promise<T>): Promise<T> {
  return pooled.has(client) ? transact(client, session, use) : use()
}

function requireSession(found: Facts, { searchPath, timeouts }: Session): void {
  if (found.standby) throw new SessionError('read_only', 'connected to a read-only standby; connect to the primary')
  if (found.read_only)
    throw new SessionError(
      'read_only',
      `the database is read-only (default_transaction_read_only is on): connect to the primary, or let the role ${quote(found.role)} write`,
    )
  const asked = searchPath.map(quote).join(', ')
  const differences = timeoutNames
    .filter(name => timeouts[name] !== undefined && Number(found[name]) !== timeouts[name])
    .map(name => ({ name: name as string, is: `${Number(found[name])} ms`, asked: String(timeouts[name]) }))
  if (JSON.stringify(splitPath(found.search_path)) !== JSON.stringify(searchPath))
    differences.unshift({ name: 'search_path', is: found.search_path || 'empty', asked })
  if (differences.length === 0) return
  const differ = differences.map(({ name, is, asked }) => `${name} is ${is}, not ${asked}`).join('; ')
  const remedy = differences
    .map(({ name, asked }) => `ALTER ROLE ${quote(found.role)} SET ${name} = ${asked};`)
    .join(' ')
  throw new SessionError(
    'session',
    `the connection lacks the requested settings: ${differ}. A pooler in between drops them (ignore_startup_parameters of PgBouncer): connect to PostgreSQL directly, or run: ${remedy}`,
  )
}

/** Explains a pooler's refusal of a startup parameter, with what to do. Undefined for other errors. */
export function describeRefusal(error: unknown): SessionError | undefined {
  const parameter = error instanceof DatabaseError && /unsupported startup parameter: (\w+)/.exec(error.message)?.[1]
  if (!parameter) return undefined
  return new SessionError(
    'session',
    `a pooler in between does not support the parameter ${parameter}: connect to PostgreSQL directly, or add it to ignore_startup_parameters of PgBouncer and set it for the role (docs/how-to/install-as-a-service.md)`,
  )
}

/** Returns the search path that a connection's command-line options request, or undefined. */
export function searchPathOf(options: string): string[] | undefined {
  const [, given] = [...options.matchAll(/\bsearch_path\s*=\s*((?:"[^"]*"|\\.|[^\s"\\])+)/gs)].at(-1) ?? []
  return given === undefined ? undefined : splitPath(given.replace(/\\(.)/gs, '$1'))
}

/** Parses a list of identifiers like PostgreSQL: unquoted ones in lower case. */
function splitPath(list: string): string[] {
  const names = ['']
  let isQuoted = false
  for (const [part] of list.matchAll(/"|,|[^",]+/g)) {
    if (part === '"') isQuoted = !isQuoted
    if (part === ',' && !isQuoted) names.push('')
    else names.push(`${names.pop()}${part}`)
  }
  return names.map(text => {
    const name = text.trim()
    return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
  })
}

function quote(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
