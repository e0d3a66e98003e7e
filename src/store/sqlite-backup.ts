// Backups of the embedded store: a consistent copy of the open database, and what a copy contains.
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { backup, DatabaseSync } from './node-sqlite.ts'
import { applicationId, explainSqlite, schemaVersion } from './sqlite-file.ts'

/** Pages that are copied in one step. The database serves requests between two steps. */
const pagesPerStep = 100

/**
 * Copies an open database to `path`, which must not exist, and opens the copy. Its name is removed then, so that nothing remains when
 * the copy has been read, or the process ends. What is committed meanwhile is in the copy or not, but each change as a whole.
 */
export async function openBackup(database: DatabaseSync, path: string): Promise<FileHandle> {
  await writeFile(path, '', { flag: 'wx', mode: 0o600 })
  try {
    await backup(database, path, { rate: pagesPerStep })
    return await open(path, 'r')
  } finally {
    for (const end of ['', '-journal', '-wal', '-shm']) await rm(path + end, { force: true })
  }
}

/** The content of a backup, in numbers. */
export interface BackupSummary {
  readonly schema: number
  /** The identity of the state and its position. Undefined in a backup of an older version. */
  readonly state: string | undefined
  readonly position: number | undefined
  readonly clients: number
  readonly disabled_clients: number
  readonly grants: number
  readonly revocations: number
}

/** Examines a whole backup without changing it. @throws Error with one sentence about why it cannot be restored. */
export function examineBackup(path: string): BackupSummary {
  let database: DatabaseSync | undefined
  try {
    const url = pathToFileURL(path)
    url.search = 'immutable=1' // else SQLite creates files beside it
    database = new DatabaseSync(url, { readOnly: true })
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON')
    return summarize(database)
  } catch (cause) {
    throw new Error(`${path} ${explain(cause)}`, { cause })
  } finally {
    database?.close()
  }
}

function summarize(database: DatabaseSync): BackupSummary {
  const ask = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0]
  const count = (from: string) => Number(ask(`SELECT count(*) FROM ${from}`))
  if (ask('PRAGMA application_id') !== applicationId) throw new Unusable('is not a backup of tlsbound')
  const schema = Number(ask('PRAGMA user_version'))
  if (schema > schemaVersion)
    throw new Unusable(`was written by a newer version of tlsbound (schema ${schema}, here ${schemaVersion})`)
  if (ask('PRAGMA integrity_check') !== 'ok') throw new Unusable('is damaged')
  // tlsbound creates neither: they would run as part of the server.
  if (count("sqlite_schema WHERE type IN ('trigger', 'view')") > 0) throw new Unusable('contains triggers or views')
  const hasState = count("sqlite_schema WHERE type = 'table' AND name = 'state'") > 0
  return {
    schema,
    state: hasState ? String(ask('SELECT id FROM state')) : undefined,
    position: hasState ? Number(ask('SELECT value FROM news_sequence')) : undefined,
    clients: count('clients WHERE registration IS NOT NULL'),
    disabled_clients: count('clients WHERE disabled = 1'),
    grants: count('grants'),
    revocations: count('revocations'),
  }
}

class Unusable extends Error {}

function explain(error: unknown): string {
  if (error instanceof Unusable) return error.message
  const { errcode = 0 } = error as { errcode?: number }
  if (errcode === 26) return 'is not an SQLite database'
  if ((errcode & 0xff) === 11) return 'is damaged'
  return explainSqlite(error)
}
