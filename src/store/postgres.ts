// The shared store: one PostgreSQL database for many servers. Each change is one transaction. Revocations and client
// changes reach every following server within a second (LISTEN, NOTIFY), or by polling twice a second if a pooler drops
// notifications.
import { checkOptions, countRule, functionRule } from '../core/check-options.ts'
import { Followers } from './followers.ts'
import { createConnections, readConfig, translate } from './postgres-connection.ts'
import { createLink } from './postgres-link.ts'
import type { PostgresTarget } from './postgres-password.ts'
import { nextSequence } from './revocations.ts'
import { recordServer, removeServer } from './servers.ts'
import { buildStore } from './sql-store.ts'
import { acknowledge } from './state.ts'
import type { Change, Store } from './store.ts'

export interface PostgresOptions {
  /** Maximum number of connections, in addition to the one that follows changes. */
  readonly connections?: number
  /** Returns the password for a connection, in place of the one in the URL. Called for each connection; it may throw. */
  readonly findPassword?: ((target: PostgresTarget) => string | Promise<string>) | undefined
}

/**
 * Opens the store at `url`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. The schema is the first of the `search_path` in
 * the URL's `options`, by default `tlsbound`. Connects on first use, and reconnects when needed.
 * @throws TypeError for a URL of another form, without showing it, and for a wrong or unknown option.
 */
export function openPostgres(url: string, options: PostgresOptions = {}): Store {
  checkOptions(options, undefined, {}, { connections: countRule, findPassword: functionRule })
  const { connections: max = 10, findPassword } = options
  const { config, session } = readConfig(url, findPassword)
  const connections = createConnections(config, session, max)
  const followers = new Followers()
  const link = createLink(config, session, followers, connections.ready)
  let reportPosition: (position: number) => void = () => {}
  let closing: Promise<void> | undefined
  const { write, read } = connections
  const store = buildStore({ write, read, lockRefresh, lockRevocations, skipLocked, clock }, link.notified)
  return {
    ...store,
    async removeExpired(now, limit) {
      const removed = await store.removeExpired(now, limit)
      reportPosition(await write(() => nextSequence())) // regularly, so that a backup restored from between two changes is noticed
      return removed
    },
    check: () => connections.verify(() => nextSequence()).then(position => reportPosition(position)),
    acknowledge: () => write(() => acknowledge()).then(position => reportPosition(position)),
    watchPosition(listener) {
      reportPosition = listener
    },
    async follow(listener, since = 0) {
      const notify = (change: Change) => {
        reportPosition(change.sequence)
        listener(change)
      }
      const follower = { listener: notify, position: since }
      await link.add(follower).catch(error => {
        throw translate(error)
      })
      return () => void followers.delete(follower)
    },
    millisecondsSinceSync: link.silence,
    recordServer: (server, admits) => write(() => recordServer(server, admits, { clock, lock: lockServers })),
    removeServer: id => write(() => removeServer(id)),
    close() {
      closing ??= link.close().then(connections.close)
      return closing
    },
  }
}

/**
 * Refreshes share this lock, and a revocation holds it exclusively: otherwise a refresh that began earlier could succeed
 * after it. The lock on the grant's row excludes other refreshes, so the token is read afterwards as they left it.
 */
const lockRefresh = `
  SELECT pg_advisory_xact_lock_shared(hashtext('tlsbound revocations'), hashtext(current_schema()))
  FROM grants WHERE number = (SELECT grant_number FROM refresh_tokens WHERE hash = ?) FOR UPDATE`
const skipLocked = 'FOR UPDATE SKIP LOCKED'
const lockRevocations = "SELECT pg_advisory_xact_lock(hashtext('tlsbound revocations'), hashtext(current_schema()))"

const lockServers = "SELECT pg_advisory_xact_lock(hashtext('tlsbound servers'), hashtext(current_schema()))"

/** The current time, not that of the start of the transaction or statement, which may have waited for a lock. */
export const clock = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
