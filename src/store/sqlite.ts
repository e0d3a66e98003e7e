// The embedded store: one SQLite file that one process uses. Every promise resolves after the write has reached the disk.
import { randomBytes } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { booleanRule, checkOptions, countRule, describeFound, pathRule, type Rules } from '../core/check-options.ts'
import { Followers } from './followers.ts'
import { createGroupCommit } from './group-commit.ts'
import { nextSequence, readChanges, readUnpacked } from './revocations.ts'
import { buildStore } from './sql-store.ts'
import { openBackup } from './sqlite-backup.ts'
import { openDatabase } from './sqlite-file.ts'
import type { LoadedRevocations } from './sqlite-load.ts'
import type { Loading } from './sqlite-loading.ts'
import { acknowledge } from './state.ts'
import { type Change, ConflictError, type Store } from './store.ts'
import { ask, type Row, unavailable, type Work } from './work.ts'

export interface SqliteOptions {
  /** Maximum size of the file, in pages of 4096 octets. */
  readonly maximumPages?: number
  /** The content of the file is known to be unchanged, and is not checked. */
  readonly isIntact?: boolean
}

const optionRules: Rules = { maximumPages: countRule, isIntact: booleanRule }

const everything = -1

/** Maximum number of changes in one read for a new follower. */
const portion = 5000

/** Milliseconds before a follower that threw is notified again. */
const retryAfter = 500

/**
 * Opens or creates the store at `path`; `:memory:` stores nothing.
 * @throws TypeError for a path that is no text, and for a wrong or unknown option; Error with one sentence when the file is unusable.
 */
export function openSqlite(path: string, options: SqliteOptions = {}): Store {
  if (!pathRule.isValid(path)) throw new TypeError(`path must be ${pathRule.expected}, not ${describeFound(path)}`)
  checkOptions(options, undefined, {}, optionRules)
  const { maximumPages, isIntact } = options
  const database = openDatabase(path, isIntact)
  if (maximumPages !== undefined) database.exec(`PRAGMA max_page_count = ${maximumPages}`)
  return createStore(database, path)
}

/**
 * Opens the store of a file that was being loaded; this process loads it if the thread has failed. Rejects with one sentence when the file
 * is damaged; it is closed then.
 */
export async function openLoaded(path: string, { database, loaded, isIntact, cancel }: Loading): Promise<Store> {
  try {
    const revocations = await loaded
    if (revocations !== undefined) return createStore(database, path, revocations)
  } catch (error) {
    await cancel()
    throw error
  }
  await cancel()
  return openSqlite(path, { isIntact })
}

/** `loaded`: the revocations that were read already. */
function createStore(database: DatabaseSync, path: string, loaded?: LoadedRevocations): Store {
  let unread = loaded
  const perform = createPerformer(database)
  const followers = new Followers()
  let reportPosition: (position: number) => void = () => {}
  let changes = 0
  /** The position after the last change. */
  let reached = 0
  /** Whether a follower has thrown, and so lacks changes that are on the disk. */
  let isBehind = false

  const group = createGroupCommit(database, () => {
    const pending = readPending()
    const changesNow = perform(countChanges())
    if (changesNow === changes) return () => {}
    const next = perform(nextSequence()) // with every change, so that a state without the last ones is noticed
    changes = changesNow + 1
    return () => {
      reached = next
      notify(() => pending)
    }
  })

  function readPending(): readonly Change[] {
    const { position } = followers
    return position === undefined ? [] : perform(readChanges(position, everything))
  }

  /**
   * Notifies the followers. Never throws: the changes are on the disk, and a follower that throws is notified again later.
   */
  function notify(read: () => readonly Change[]): void {
    try {
      reportPosition(reached)
      followers.notify(read())
      isBehind = false
    } catch {
      if (!isBehind) setTimeout(notifyAgain, retryAfter).unref()
      isBehind = true
    }
  }

  function notifyAgain(): void {
    isBehind = false
    if (database.isOpen) notify(readPending)
  }

  const write = <T>(work: () => Work<T>) => orUnavailable(() => group.write(() => perform(work())))
  const read = <T>(work: () => Work<T>) => orUnavailable(() => perform(work()))
  return {
    ...buildStore({ write, read }, async () => {}),
    check: () => write(() => nextSequence()).then(() => {}),
    acknowledge: () => write(() => acknowledge()).then(() => {}),
    watchPosition(listener) {
      reportPosition = listener
    },
    follow: (listener, since = 0, addPacked) =>
      orUnavailable(() => {
        const follower = { listener, position: since }
        const alone = new Followers([follower])
        if (since === 0 && addPacked !== undefined && unread?.packed !== undefined) {
          const { packed, position } = unread
          unread = undefined // its arrays belong to the follower now
          addPacked(packed)
          for (const one of perform(readUnpacked(position))) listener(one)
          follower.position = position
        }
        for (let size = portion; size === portion; ) {
          const changes = perform(readChanges(follower.position, portion))
          alone.notify(changes)
          size = changes.length
        }
        followers.add(follower)
        return () => void followers.delete(follower)
      }),
    ...(path !== ':memory:' && {
      backup: () => orUnavailable(() => openBackup(database, `${path}.backup-${randomBytes(6).toString('hex')}`)),
    }),
    millisecondsSinceSync: () => (isBehind ? Number.POSITIVE_INFINITY : 0),
    async close() {
      if (!database.isOpen) return
      group.flush()
      database.close()
    },
  }
}

/** Performs units of work on `database` with prepared statements. */
function createPerformer(database: DatabaseSync): <T>(work: Work<T>) => T {
  const prepared = new Map<string, StatementSync>()
  return work => {
    let step = work.next()
    while (!step.done) {
      const { sql, values, asLists = false } = step.value
      let statement = prepared.get(sql)
      if (statement === undefined) {
        statement = database.prepare(sql)
        statement.setReturnArrays(asLists)
        prepared.set(sql, statement)
      }
      step = work.next(statement.all(...values) as unknown as readonly Row[])
    }
    return step.value
  }
}

/** Maps an error of the database to a refusal. A mistake of the caller stays unchanged. */
async function orUnavailable<T>(query: () => T | Promise<T>): Promise<T> {
  try {
    return await query()
  } catch (error) {
    const { code, errcode } = error as { code?: string; errcode?: number }
    if (errcode === notUnique) throw new ConflictError('there is one with this id or hash already', { cause: error })
    const isOfDatabase = code === 'ERR_SQLITE_ERROR' || code === 'ERR_INVALID_STATE'
    throw isOfDatabase ? unavailable(error, details[(errcode ?? 0) & 0xff]) : error
  }
}

/** SQLITE_CONSTRAINT_UNIQUE */
const notUnique = 2067

/** SQLITE_READONLY, SQLITE_FULL; https://www.sqlite.org/rescode.html */
const details: Readonly<Record<number, 'read_only' | 'full'>> = { 8: 'read_only', 13: 'full' }

/** Returns the number of rows changed on this connection so far. */
function* countChanges(): Work<number> {
  const [row] = yield* ask('SELECT total_changes() AS count')
  return row?.count as number
}
