// A thread that loads a part of a large SQLite file, which the store has locked. sqlite-loading.ts starts it.
import { parentPort, workerData } from 'node:worker_threads'
import { DatabaseSync } from './node-sqlite.ts'
import { explainSqlite } from './sqlite-file.ts'
import { checkIndexes, type LoadedRows, loadRows, type Sums } from './sqlite-load.ts'

export interface Task {
  readonly url: string
  readonly part: 'rows' | 'indexes'
  /** The content is known to be unchanged, and is not checked. */
  readonly isIntact: boolean
}

/** What a thread found. The problem completes "the state file …". */
export type Answer = { readonly found: LoadedRows | Sums | 'unknown' } | { readonly problem: string }

const { url, part, isIntact } = workerData as Task

let answer: Answer
try {
  const database = new DatabaseSync(new URL(url), { readOnly: true })
  answer = { found: part === 'rows' ? loadRows(database, isIntact) : checkIndexes(database) }
  database.close()
} catch (error) {
  answer = { problem: explainSqlite(error) }
}
const found = 'found' in answer ? answer.found : undefined
const packed = typeof found === 'object' && 'packed' in found ? found.packed : undefined
const given = packed === undefined ? [] : [packed.octets, packed.ends, packed.expires, packed.slots]
parentPort?.postMessage(
  answer,
  given.map(({ buffer }) => buffer),
)
