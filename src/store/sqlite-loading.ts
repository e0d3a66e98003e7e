// Loads a large SQLite file in a thread of its own, while the process reads its other files.
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { DatabaseSync } from './node-sqlite.ts'
import { explainFile, lockedUrl, openUnchecked } from './sqlite-file.ts'
import type { LoadedRevocations } from './sqlite-load.ts'
import type { Answer, Task } from './sqlite-thread.ts'

/** A file that is being loaded. Nothing may be written to the database until it is. */
export interface Loading {
  readonly database: DatabaseSync
  /** Rejects with one sentence when the file is damaged. */
  readonly loaded: Promise<LoadedRevocations>
  /** Stops loading, and closes the database. */
  cancel(): Promise<void>
}

/** Minimum size of a file that is loaded in a thread, in octets: starting one takes as long as checking a few MiB. */
const smallestInThread = 16_777_216

/**
 * Locks the file at `path`, and begins to load it. Undefined: it is small, does not exist, has an earlier schema, or threads
 * are not permitted (node --permission). `isIntact`: the content is known to be unchanged, and is not checked.
 * @throws Error with one sentence about why the file is unusable.
 */
export function beginLoading(path: string, isIntact: boolean, smallest = smallestInThread): Loading | undefined {
  const size = path === ':memory:' ? undefined : statSync(path, { throwIfNoEntry: false })?.size
  const database = size === undefined || size < smallest ? undefined : openUnchecked(path)
  if (database === undefined) return undefined
  const entry = new URL(`./sqlite-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  let thread: Worker
  try {
    thread = new Worker(entry, { workerData: { url: lockedUrl(path), isIntact } satisfies Task })
  } catch {
    database.close() // or the process could not open the file by itself
    return undefined
  }
  const loaded = new Promise<LoadedRevocations>((resolve, reject) => {
    thread.once('message', (answer: Answer) => {
      if ('problem' in answer) reject(explainFile(path, answer.problem))
      else resolve(answer)
    })
    thread.once('error', cause => reject(explainFile(path, `cannot be loaded: ${cause.message}`, cause)))
    thread.once('exit', () => reject(explainFile(path, 'cannot be loaded: its thread has ended')))
  })
  loaded.catch(() => {}) // opening the store awaits it
  return {
    database,
    loaded,
    async cancel() {
      await thread.terminate()
      if (database.isOpen) database.close()
    },
  }
}
