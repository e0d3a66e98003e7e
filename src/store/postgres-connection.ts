// Connections to PostgreSQL: configuration, time-outs, and units of work. A server that does not respond times out after
// two seconds. Transactions that fail by a conflict with others are retried.
import { Client, type ClientBase, type ClientConfig, DatabaseError, Pool, type PoolClient, types } from 'pg'
import { PostgresClient, type PostgresConfig } from './postgres-client.ts'
import type { FindPassword } from './postgres-password.ts'
import { migrate } from './postgres-schema.ts'
import {
  describeRefusal,
  read,
  type Session,
  SessionError,
  searchPathOf,
  timeoutNames,
  transact,
  verifyConnection,
} from './postgres-session.ts'
import { ConflictError } from './store.ts'
import { type Row, unavailable, type Work } from './work.ts'

/** Milliseconds after which connecting, waiting for a free connection, or one statement times out. */
export const patience = 2000

/** Maximum number of attempts for a transaction that conflicts with others. */
const attempts = 5

/**
 * Parses the configuration from a URL whose host, user, password, database and TLS parameters (`sslmode`, `sslrootcert` …)
 * are PostgreSQL's.
 * `findPassword` finds the password for each connection.
 * @throws TypeError that does not show the URL.
 */
export function readConfig(
  url: string,
  findPassword?: FindPassword,
): { readonly config: PostgresConfig; readonly session: Session } {
  const form = 'postgres://USER:PASSWORD@HOST:PORT/DATABASE'
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new Error('another kind of URL')
    const { searchPath, connectionString } = withSchema(url)
    const config: PostgresConfig = { ...limits, connectionString, findPassword }
    // What the URL says about time-outs takes precedence.
    const { connectionParameters: asked } = new Client(config) as unknown as Record<string, Record<string, unknown>>
    const timeouts = timeoutNames.map(name => [name, Number(asked?.[name]) || undefined])
    return { config, session: { schema: searchPath[0], searchPath, timeouts: Object.fromEntries(timeouts) } }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new TypeError(`the URL of the store names a missing file: ${path}`)
    throw new TypeError(`the URL of the store is not of the form ${form}`) // without the cause: it may show a password
  }
}

const limits: ClientConfig = {
  application_name: 'tlsbound',
  connectionTimeoutMillis: patience,
  statement_timeout: patience,
  query_timeout: patience + 200,
  idle_in_transaction_session_timeout: patience,
  keepAlive: true,
  types: { getTypeParser: (oid, format) => (oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format)) },
}

/** Returns the search path of a URL, or the same URL with the default one in its options. */
function withSchema(url: string): {
  readonly searchPath: readonly [string, ...string[]]
  readonly connectionString: string
} {
  const [, given = ''] = /[?&]options=([^&#]*)/.exec(url) ?? []
  const options = decodeURIComponent(given.replaceAll('+', ' '))
  const [first, ...others] = searchPathOf(options) ?? []
  if (first !== undefined) return { searchPath: [first, ...others], connectionString: url }
  const rest = url.replace(/([?&])options=[^&#]*&?/, '$1')
  const parameter = `options=${encodeURIComponent(`${options} -c search_path=tlsbound`.trim())}`
  return { searchPath: ['tlsbound'], connectionString: rest + (rest.includes('?') ? '&' : '?') + parameter }
}

export interface Connections {
  write<T>(work: () => Work<T>): Promise<T>
  read<T>(work: () => Work<T>): Promise<T>
  /** Runs a write on a connection that is verified again in the same transaction. */
  verify<T>(work: () => Work<T>): Promise<T>
  /** Resolves once the tables exist. */
  ready(): Promise<void>
  close(): Promise<void>
}

/** Creates a pool of at most `max` connections. Each is verified when opened; the first use creates the tables. */
export function createConnections(config: PostgresConfig, session: Session, max: number): Connections {
  const onConnect = (client: ClientBase) => verifyConnection(client, session)
  const pool = new Pool({ ...config, Client: PostgresClient, max, idleTimeoutMillis: 30_000, onConnect })
  pool.on('error', () => {}) // an idle connection was lost, and the pool has removed it
  pool.on('connect', client => client.on('error', () => {})) // a connection in use was lost, and its statement rejects
  const underWay = new Set<Promise<unknown>>()
  let tables: Promise<void> | undefined
  let closed = false

  /** Lends a connection. After an error that is not just an error response of the server, it is not reused. */
  async function borrow<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect()
    let broken = true
    try {
      const result = await use(client)
      broken = false
      return result
    } catch (error) {
      if (error instanceof DatabaseError) broken = !(await rolledBack(client))
      throw error
    } finally {
      client.release(broken)
    }
  }

  function ready(): Promise<void> {
    tables ??= borrow(client => migrate(client, session)).catch(error => {
      tables = undefined
      throw error
    })
    return tables
  }

  async function write<T>(work: () => Work<T>, verified?: boolean): Promise<T> {
    for (let attempt = 1; ; attempt++)
      try {
        await ready()
        return await borrow(client => transact(client, session, () => perform(client, work()), verified))
      } catch (error) {
        if (attempt === attempts || !isUndone(error)) throw error
        await new Promise(resolve => setTimeout(resolve, 20 * attempt * Math.random()))
      }
  }

  async function ask<T>(work: () => Work<T>): Promise<T> {
    await ready()
    return borrow(client => read(client, session, () => perform(client, work())))
  }

  async function orUnavailable<T>(query: () => Promise<T>): Promise<T> {
    if (closed) throw unavailable(new Error('the store is closed'))
    const answer = query()
    underWay.add(answer)
    try {
      return await answer
    } catch (error) {
      throw translate(error)
    } finally {
      underWay.delete(answer)
    }
  }

  return {
    write: work => orUnavailable(() => write(work)),
    read: work => orUnavailable(() => ask(work)),
    verify: work => orUnavailable(() => write(work, true)),
    ready,
    async close() {
      closed = true
      await atMost(2 * patience, Promise.allSettled(underWay))
      await atMost(patience, pool.end())
    },
  }
}

/** Performs a unit of work on one connection. */
export async function perform<T>(client: Pick<ClientBase, 'query'>, work: Work<T>): Promise<T> {
  let step = work.next()
  while (!step.done) {
    const { sql, values, asLists } = step.value
    let count = 0
    const text = sql.replace(/\?/g, () => `$${++count}`)
    const { rows } = await client.query({ text, values: [...values], ...(asLists && { rowMode: 'array' }) })
    step = work.next(rows as readonly Row[])
  }
  return step.value
}

/** Waits for `promise`, but at most the given milliseconds. */
export async function atMost(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise(resolve => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([promise, timeout]).finally(() => clearTimeout(timer))
}

async function rolledBack(client: PoolClient): Promise<boolean> {
  return client.query('ROLLBACK').then(
    () => true,
    () => false,
  )
}

/** Serialization failure or deadlock: a conflict with other transactions, and this one has changed nothing. */
function isUndone(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '40001' || error.code === '40P01')
}

/** Maps an error of the database to a refusal. A mistake of the caller stays unchanged. */
export function translate(error: unknown): unknown {
  if (error instanceof ConflictError) return error
  if (error instanceof DatabaseError && error.code === '23505')
    return new ConflictError('there is one with this id or hash already', { cause: error })
  const cause = describeRefusal(error) ?? error
  if (cause instanceof SessionError) return unavailable(cause, cause.detail)
  return unavailable(cause, cause instanceof DatabaseError ? details[cause.code ?? ''] : undefined)
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const details: Readonly<Record<string, 'read_only' | 'full'>> = { '25006': 'read_only', '53100': 'full' }
