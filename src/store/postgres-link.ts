// The link over which a server follows a shared store. A dedicated connection waits for notifications and also reads
// changes twice a second. A lost link is reconnected and continues after the last number.
import type { Client } from 'pg'
import type { Follower, Followers } from './followers.ts'
import { PostgresClient, type PostgresConfig } from './postgres-client.ts'
import { atMost, patience, perform } from './postgres-connection.ts'
import { read, type Session, verifyConnection } from './postgres-session.ts'
import { readChanges } from './revocations.ts'

/** Milliseconds between two reads without a notification. */
const heartbeat = 500

/** Maximum number of changes in one read. */
const portion = 5000

export interface Link {
  /** Adds a follower. Resolves when it has received all stored changes. If that fails, rejects and removes the follower. */
  add(follower: Follower): Promise<void>
  /** Resolves when the followers have received all committed changes, or when these cannot be read now. */
  notified(): Promise<void>
  /** Milliseconds since the start of the last successful read. */
  silence(): number
  close(): Promise<void>
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Creates the link. `ready` resolves once the tables exist. Connects with the first follower. */
export function createLink(
  config: PostgresConfig,
  session: Session,
  followers: Followers,
  ready: () => Promise<void>,
): Link {
  let waiters: Waiter[] = []
  let wake = () => {}
  let heard = Number.NEGATIVE_INFINITY
  let closed = false
  let timeline: string | undefined
  let life: Promise<void> | undefined
  let ending = Promise.resolve()

  const pause = (milliseconds: number) =>
    new Promise<void>(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  /** Reads on one connection until it is lost or closed. */
  async function listen(client: Client, connected: () => void): Promise<void> {
    let lost: unknown
    let stale = true // there may be unread changes
    const notice = () => {
      stale = true
      wake()
    }
    client.on('error', error => {
      lost = error
      wake()
    })
    client.on('end', () => {
      lost ??= new Error('the connection was closed')
      wake()
    })
    client.on('notification', notice)
    await client.connect()
    await verifyConnection(client, session) // a standby may be behind
    const current = await readTimeline(client)
    if (timeline !== undefined && current !== timeline) followers.restart()
    timeline = current
    await client.query('LISTEN tlsbound_news')
    connected()
    while (!closed && lost === undefined) {
      const asking = waiters
      waiters = []
      stale = false
      try {
        const start = performance.now()
        await readAll(client)
        heard = start
        for (const { resolve } of asking) resolve()
      } catch (error) {
        for (const { reject } of asking) reject(error)
        throw error
      }
      if (!stale && waiters.length === 0 && lost === undefined && !closed) await pause(heartbeat)
    }
    if (lost !== undefined) throw lost
  }

  async function readAll(client: Client): Promise<void> {
    for (let size = portion; size === portion; ) {
      const since = followers.position ?? Number.MAX_SAFE_INTEGER
      const changes = await read(client, session, () => perform(client, readChanges(since, portion)))
      followers.notify(changes)
      size = changes.length
    }
  }

  /** Connects again and again, with growing delays while it fails. */
  async function live(): Promise<void> {
    for (let failures = 0; !closed; failures++) {
      const client = new PostgresClient(config)
      try {
        await ready()
        await listen(client, () => {
          failures = 0
        })
      } catch (error) {
        for (const { reject } of waiters.splice(0)) reject(error)
      }
      ending = client.end().catch(() => {})
      if (!closed) await pause(Math.min(50 * 2 ** failures, 1000))
    }
    for (const { reject } of waiters.splice(0)) reject(new Error('the store is closed'))
  }

  /** Resolves with the next read that starts from now on. */
  function reading(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (closed) return reject(new Error('the store is closed'))
      waiters.push({ resolve, reject })
      wake()
      life ??= live()
    })
  }

  return {
    async add(follower) {
      followers.add(follower)
      await reading().catch(error => {
        followers.delete(follower)
        throw error
      })
    },
    notified: () => (followers.size === 0 ? Promise.resolve() : reading().catch(() => {})),
    silence: () => performance.now() - heard,
    async close() {
      closed = true
      wake()
      await atMost(
        patience,
        Promise.resolve(life).then(() => ending),
      )
    },
  }
}

/**
 * Returns the timeline of the sequence numbers. When a standby that lacks some changes takes over, the same numbers are
 * used again for other changes. A service that does not report its timeline must not lose acknowledged changes.
 */
async function readTimeline(client: Client): Promise<string> {
  const sql = 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline'
  return client.query(sql).then(
    ({ rows }) => rows[0].timeline,
    () => 'not told',
  )
}
