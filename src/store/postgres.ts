// The shared store: one PostgreSQL database for many servers. Each change is one transaction; revocations and client changes
// reach every server that follows within a second (LISTEN, NOTIFY). A direct connection is needed, not a pooler's.
import { Followers } from './followers.ts'
import { createConnections, readConfig } from './postgres-connection.ts'
import { createLink } from './postgres-link.ts'
import { readNews } from './revocations.ts'
import { buildStore } from './sql-store.ts'
import type { Store } from './store.ts'
import { unavailable } from './work.ts'

export interface PostgresOptions {
  /** The most connections at a time, beside the one for news. */
  readonly connections?: number
}

/**
 * The store at `url`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, in the schema `tlsbound` or in the first one of the
 * `search_path` that the URL's `options` give. Connects with its first use, and again whenever that is needed.
 * @throws TypeError for a URL of another form, without showing it.
 */
export function openPostgres(url: string, { connections: max = 10 }: PostgresOptions = {}): Store {
  const { config, schema } = readConfig(url)
  const connections = createConnections(config, schema, max)
  const followers = new Followers()
  const link = createLink(config, followers, connections.ready)
  let closing: Promise<void> | undefined
  const { write, read } = connections
  return {
    ...buildStore({ write, read, lockRefresh, lockRevocations, skipLocked, clock }, link.told),
    check: () => read(() => readNews(0, 0)).then(() => {}),
    async follow(listener, since = 0) {
      const follower = { listener, position: since }
      await link.add(follower).catch(error => {
        throw unavailable(error)
      })
      return () => void followers.delete(follower)
    },
    lastNews: link.silence,
    close() {
      closing ??= link.close().then(connections.close)
      return closing
    },
  }
}

/**
 * Refreshes share this lock, and a revocation has it alone: otherwise one that has begun before could succeed after. Its
 * grant's row keeps out other refreshes; what is read about the token afterwards is what they have left.
 */
const lockRefresh = `
  SELECT pg_advisory_xact_lock_shared(hashtext('tlsbound revocations'), hashtext(current_schema()))
  FROM grants WHERE number = (SELECT grant_number FROM refresh_tokens WHERE hash = ?) FOR UPDATE`
const skipLocked = 'FOR UPDATE SKIP LOCKED'
const lockRevocations = "SELECT pg_advisory_xact_lock(hashtext('tlsbound revocations'), hashtext(current_schema()))"

/** Of the moment, not of the start of the transaction or statement, which may have waited for a lock since. */
const clock = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
