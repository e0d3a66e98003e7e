// Loads a large SQLite file in threads, while the process reads its other files: one reads the revocations, and one checks the rest of the
// file for damage.
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { DatabaseSync } from './node-sqlite.ts'
import { explainFile, explainSqlite, lockedUrl, openUnchecked } from './sqlite-file.ts'
import { type LoadedRevocations, type LoadedRows, requireSame, type Sums } from './sqlite-load.ts'
import type { Answer, Task } from './sqlite-thread.ts'

/** A file that is being loaded. Nothing may be written to the database until it is. */
export interface Loading {
  readonly database: DatabaseSync
  readonly isIntact: boolean
  /** Undefined: the thread has failed. Rejects with one sentence when the file is damaged. */
  readonly loaded: Promise<LoadedRevocations | undefined>
  /** Stops loading, and closes the database. */
  cancel(): Promise<void>
}

/** Minimum size of a file that is loaded in a thread, in octets: starting one takes as long as checking a few MiB. */
const smallestInThread = 16_777_216

/**
 * Locks the file at `path`, and begins to load it. Undefined: it is small, does not exist, or has an earlier schema, or no thread can
 * be started. `isIntact`: the content is known to be unchanged, and is not checked.
 * @throws Error with one sentence about why the file is unusable.
 */
export function beginLoading(path: string, isIntact: boolean, smallest = smallestInThread): Loading | undefined {
  const size = path === ':memory:' ? undefined : statSync(path, { throwIfNoEntry: false })?.size
  const database = size === undefined || size < smallest ? undefined : openUnchecked(path)
  if (database === undefined) return undefined
  const entry = new URL(`./sqlite-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  const threads: Worker[] = []
  const start = <Found>(part: Task['part']): Promise<Found | undefined> => {
    const thread = new Worker(entry, { workerData: { url: lockedUrl(path), part, isIntact } satisfies Task })
    threads.push(thread)
    return resultOf(thread, path)
  }
  let loaded: Loading['loaded']
  try {
    const rows = start<LoadedRows>('rows')
    loaded = isIntact ? rows : compare(path, rows, start<Sums | 'unknown'>('indexes'))
  } catch {
    for (const thread of threads) void thread.terminate()
    database.close() // Node's permissions do not allow threads, for example
    return undefined
  }
  loaded.catch(() => {}) // opening the store awaits it
  return {
    ...{ database, isIntact, loaded },
    async cancel() {
      await Promise.all(threads.map(thread => thread.terminate()))
      if (database.isOpen) database.close()
    },
  }
}

/** Resolves with undefined if the thread fails. Rejects with one sentence when it finds damage. */
function resultOf<Found>(thread: Worker, path: string): Promise<Found | undefined> {
  return new Promise((resolve, reject) => {
    thread.once('message', (answer: Answer) => {
      if ('problem' in answer) reject(explainFile(path, answer.problem))
      else resolve(answer.found as Found)
    })
    thread.once('error', () => resolve(undefined))
    thread.once('exit', () => resolve(undefined))
  })
}

async function compare(
  path: string,
  ...results: readonly [Promise<LoadedRows | undefined>, Promise<Sums | 'unknown' | undefined>]
): Promise<LoadedRevocations | undefined> {
  const [rows, indexes] = await Promise.all(results)
  if (rows === undefined || indexes === undefined) return undefined
  try {
    requireSame(rows, indexes)
  } catch (error) {
    throw explainFile(path, explainSqlite(error), error)
  }
  return rows
}
