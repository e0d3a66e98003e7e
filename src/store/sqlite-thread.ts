// The thread that loads a large SQLite file, which the store has locked. sqlite-loading.ts starts it.
import { parentPort, workerData } from 'node:worker_threads'
import { DatabaseSync } from './node-sqlite.ts'
import { explainSqlite } from './sqlite-file.ts'
import { type LoadedRevocations, loadRevocations } from './sqlite-load.ts'

export interface Task {
  readonly url: string
  /** The content is known to be unchanged, and is not checked. */
  readonly isIntact: boolean
}

/** What the thread found. The problem completes "the state file …". */
export type Answer = LoadedRevocations | { readonly problem: string }

const { url, isIntact } = workerData as Task

let answer: Answer
try {
  const database = new DatabaseSync(new URL(url), { readOnly: true })
  answer = loadRevocations(database, isIntact)
  database.close()
} catch (error) {
  answer = { problem: explainSqlite(error) }
}
const { packed } = 'problem' in answer ? {} : answer
const given = packed === undefined ? [] : [packed.octets, packed.ends, packed.expires, packed.slots]
parentPort?.postMessage(
  answer,
  given.map(({ buffer }) => buffer),
)
