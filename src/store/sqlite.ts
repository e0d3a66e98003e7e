// The embedded store: one SQLite file, used by one process, written through to the disk before a promise resolves.
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Followers } from './followers.ts'
import { createGroupCommit } from './group-commit.ts'
import { readNews } from './revocations.ts'
import { buildStore } from './sql-store.ts'
import { openDatabase } from './sqlite-file.ts'
import { ConflictError, type Store } from './store.ts'
import { type Row, unavailable, type Work } from './work.ts'

export interface SqliteOptions {
  /** The file may not grow beyond so many pages of 4096 octets. */
  readonly maximumPages?: number
}

const everything = -1

/** How much is read at once by one who begins to follow. */
const portion = 5000

/** Opens or makes the store at `path`; `:memory:` keeps nothing. @throws Error with one sentence when the file cannot be used. */
export function openSqlite(path: string, { maximumPages }: SqliteOptions = {}): Store {
  const database = openDatabase(path)
  if (maximumPages !== undefined) database.exec(`PRAGMA max_page_count = ${maximumPages}`)
  const perform = createPerformer(database)
  const followers = new Followers()

  const group = createGroupCommit(database, () => {
    const { position } = followers
    if (position === undefined) return () => {}
    const news = perform(readNews(position, everything))
    return () => followers.tell(news)
  })

  const write = <T>(work: () => Work<T>) => orUnavailable(() => group.write(() => perform(work())))
  const read = <T>(work: () => Work<T>) => orUnavailable(() => perform(work()))
  return {
    ...buildStore({ write, read }, async () => {}),
    check: () => read(() => readNews(0, 0)).then(() => {}),
    follow: (listener, since = 0) =>
      orUnavailable(() => {
        const follower = { listener, position: since }
        const alone = new Followers([follower])
        for (let size = portion; size === portion; ) {
          const news = perform(readNews(follower.position, portion))
          alone.tell(news)
          size = news.length
        }
        followers.add(follower)
        return () => void followers.delete(follower)
      }),
    lastNews: () => 0,
    async close() {
      if (!database.isOpen) return
      group.flush()
      database.close()
    },
  }
}

/** Performs units of work on `database`, whose statements are prepared once. */
function createPerformer(database: DatabaseSync): <T>(work: Work<T>) => T {
  const prepared = new Map<string, StatementSync>()
  return work => {
    let step = work.next()
    while (!step.done) {
      const { sql, values } = step.value
      const statement = prepared.get(sql) ?? database.prepare(sql)
      prepared.set(sql, statement)
      step = work.next(statement.all(...values) as unknown as readonly Row[])
    }
    return step.value
  }
}

/** What went wrong in the database becomes a refusal; a mistake of the caller stays what it is. */
async function orUnavailable<T>(query: () => T | Promise<T>): Promise<T> {
  try {
    return await query()
  } catch (error) {
    const { code, errcode } = error as { code?: string; errcode?: number }
    if (errcode === notUnique) throw new ConflictError('there is one with this id or hash already', { cause: error })
    throw code === 'ERR_SQLITE_ERROR' || code === 'ERR_INVALID_STATE' ? unavailable(error) : error
  }
}

/** SQLITE_CONSTRAINT_UNIQUE */
const notUnique = 2067
