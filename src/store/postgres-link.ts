// The link by which a server hears the news of a shared store: one connection of its own that waits for notifications and,
// in any case, reads twice a second what is new. A lost link is made again, and reads on after the last number.
import type { Client, ClientConfig } from 'pg'
import type { Follower, Followers } from './followers.ts'
import { PostgresClient } from './postgres-client.ts'
import { atMost, patience, perform } from './postgres-connection.ts'
import { read, type Session, verifyConnection } from './postgres-session.ts'
import { readChanges } from './revocations.ts'

/** Milliseconds between two readings when no notification comes. */
const heartbeat = 500

/** How much is read at once. */
const portion = 5000

export interface Link {
  /** Adds a follower; resolves when it knows all that was kept. Rejects when that cannot be read, and then forgets it. */
  add(follower: Follower): Promise<void>
  /** Resolves when the followers know what has been committed so far, or when that cannot be read now. */
  notified(): Promise<void>
  /** Milliseconds since the start of the last reading that succeeded. */
  silence(): number
  close(): Promise<void>
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** `ready` resolves once the tables are there. Nothing is connected before the first follower comes. */
export function createLink(
  config: ClientConfig,
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

  /** Reads on one connection until that is lost, or closed. */
  async function listen(client: Client, connected: () => void): Promise<void> {
    let lost: unknown
    let stale = true // something may be new that was not read
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
    await verifyConnection(client, session) // a standby may be late
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

  /** Links, again and again, ever more slowly while it fails. */
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

  /** Resolves with the next reading that begins from now on. */
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
 * Which history the numbers belong to. When a standby takes over that had not heard all of it, the same numbers come again
 * for other news. A service that does not tell its timeline must not lose what it has acknowledged.
 */
async function readTimeline(client: Client): Promise<string> {
  const sql = 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline'
  return client.query(sql).then(
    ({ rows }) => rows[0].timeline,
    () => 'not told',
  )
}
