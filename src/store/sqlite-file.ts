// Opens the file of an embedded store for this process alone, migrates its schema, and explains in one sentence why a file
// is unusable.
import { accessSync, closeSync, constants, openSync, statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { DatabaseSync } from './node-sqlite.ts'

/** Marks the file as one of tlsbound: "tlsb" (https://www.sqlite.org/fileformat2.html#application_id). */
export const applicationId = 0x746c7362

/** Each migrates the schema to the next version. A released one never changes. */
const migrations = [
  `CREATE TABLE IF NOT EXISTS notes (
     id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, text TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
   CREATE INDEX IF NOT EXISTS notes_by_client ON notes (client_id, id DESC);
   UPDATE notes SET text = json_quote(text);

   -- Rows are appended and refer to each other by number: a random key in every index would write twice as many pages.
   CREATE TABLE grants (
     number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, subject TEXT NOT NULL,
     scope TEXT NOT NULL, audience TEXT NOT NULL, binding TEXT NOT NULL, certificate TEXT NOT NULL,
     rotation TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, actor TEXT) STRICT;
   CREATE INDEX grants_by_expiry ON grants (expires);
   CREATE INDEX grants_by_client ON grants (client_id, expires);
   CREATE INDEX grants_by_certificate ON grants (certificate, expires);

   CREATE TABLE refresh_tokens (
     hash TEXT NOT NULL UNIQUE, grant_number INTEGER NOT NULL REFERENCES grants (number), first_used INTEGER,
     last_used INTEGER, successor TEXT, superseded INTEGER NOT NULL DEFAULT 0) STRICT;
   CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_number);

   CREATE TABLE access_tokens (
     hash TEXT NOT NULL UNIQUE, claims TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
   CREATE INDEX access_tokens_by_expiry ON access_tokens (expires);

   -- In the order of their numbers, since all of them are read at the start.
   CREATE TABLE revocations (
     sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, not_before INTEGER NOT NULL,
     expires INTEGER NOT NULL, UNIQUE (kind, value)) STRICT;
   CREATE INDEX revocations_by_expiry ON revocations (expires);

   CREATE TABLE clients (
     id TEXT PRIMARY KEY, registration TEXT, disabled INTEGER NOT NULL, secrets TEXT NOT NULL,
     sequence INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;

   CREATE TABLE news_sequence (value INTEGER NOT NULL) STRICT;
   INSERT INTO news_sequence VALUES (0);`,
  `CREATE TABLE notifications (
     number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, receiver TEXT NOT NULL, body TEXT NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
   CREATE INDEX notifications_by_receiver ON notifications (receiver, due, number);
   CREATE INDEX notifications_by_expiry ON notifications (expires);`,
  'ALTER TABLE grants ADD COLUMN issued_after INTEGER',
  `CREATE TABLE state (id TEXT NOT NULL, is_new INTEGER NOT NULL) STRICT;
   INSERT INTO state VALUES (lower(hex(randomblob(16))), 0);

   -- With these each column is in an index too, so that an octet that was flipped is found.
   DROP INDEX revocations_by_expiry;
   CREATE INDEX revocations_by_expiry ON revocations (expires, not_before);
   CREATE INDEX clients_as_a_whole ON clients (id, registration, disabled, secrets);`,
  // A token that a retry had replaced counts as used long ago. Successors of before have no sealed copy.
  `ALTER TABLE grants ADD COLUMN rebound INTEGER;
   ALTER TABLE refresh_tokens ADD COLUMN sealed TEXT;
   UPDATE refresh_tokens SET first_used = 0 WHERE superseded = 1 AND first_used IS NULL;
   ALTER TABLE refresh_tokens DROP COLUMN superseded;
   ALTER TABLE refresh_tokens DROP COLUMN last_used;`,
]

/** The schema version that this program writes. */
export const schemaVersion = migrations.length

/**
 * Opens or creates the database at `path`; `:memory:` is a temporary one. `isIntact`: the content is known to be unchanged,
 * and is not checked.
 * @throws Error with one sentence about why it is unusable.
 */
export function openDatabase(path: string, isIntact = false): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    if (path !== ':memory:') ensureFile(path)
    database = openLocked(path)
    if (!isIntact && versionOf(database) !== 0) {
      requireSoundPages(database)
      requireIntegrity(database)
    }
    migrate(database)
    return database
  } catch (cause) {
    database?.close()
    throw explainFile(path, explainSqlite(cause), cause)
  }
}

/** Returns the error that names the file; `problem` completes "the state file …". */
export function explainFile(path: string, problem: string, cause?: unknown): Error {
  return new Error(`the state file ${path} ${problem}`, { cause })
}

/**
 * Opens an existing database for a check elsewhere, and writes its log into the file, so that the file is complete. Undefined: it has
 * another schema, which `openDatabase` migrates.
 * @throws Error as `openDatabase`.
 */
export function openUnchecked(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined
  try {
    ensureFile(path)
    database = openLocked(path)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    if (versionOf(database) === migrations.length && read(database, 'application_id') === applicationId) return database
    database.close()
    return undefined
  } catch (cause) {
    database?.close()
    throw explainFile(path, explainSqlite(cause), cause)
  }
}

/** The address by which another connection reads the file of a database that is locked. Nothing may write to the file meanwhile. */
export function lockedUrl(path: string): string {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  return url.href
}

function openLocked(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 500 })
  try {
    // The first statement locks the file until the end. Data beside the file, such as its followers, is only valid
    // while no other process writes to it.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Creates the file for its owner alone. Does not open an existing one: closing it would release SQLite's locks. */
function ensureFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (statSync(path).isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    accessSync(path, constants.R_OK | constants.W_OK)
  }
}

/** Maximum size of a file whose pages are all checked, in octets: about three seconds. */
const largestChecked = 1_073_741_824

/**
 * KiB of pages that the check remembers. It searches each revocation in the indexes, which are in random order: with SQLite's
 * 2 MiB, each search reads a page, and a million revocations take 4.1 s of CPU time instead of 2.8 s.
 */
const checkCache = 131_072

/** Checks all pages of a file of moderate size for damage. @throws DamagedError */
export function requireSoundPages(database: DatabaseSync): void {
  const size = read(database, 'page_count') * read(database, 'page_size')
  if (size <= largestChecked) requireOk(database, 'quick_check')
}

/** Checks every octet of essential data, which is in a table and in an index, for damage. @throws DamagedError */
export function requireIntegrity(database: DatabaseSync, tables: readonly string[] = ['revocations', 'clients']): void {
  database.exec(`PRAGMA cache_size = -${checkCache}`)
  for (const table of tables) requireOk(database, `integrity_check(${table})`)
  database.exec('PRAGMA cache_size = -2000; PRAGMA shrink_memory') // SQLite's default again
}

function requireOk(database: DatabaseSync, check: string): void {
  if (Object.values(database.prepare(`PRAGMA ${check}`).get() ?? {})[0] !== 'ok') throw new DamagedError()
}

function read(database: DatabaseSync, name: string): number {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0] as number
}

function versionOf(database: DatabaseSync): number {
  return read(database, 'user_version')
}

function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  const version = versionOf(database)
  const foreign = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name <> 'notes'").get()
  const isOwn = read(database, 'application_id') === applicationId || (version === 0 && foreign === undefined)
  if (!isOwn) throw new Refusal('is the database of another program')
  if (version > migrations.length)
    throw new Refusal(`was written by a newer version of this program (schema ${version}, here ${migrations.length})`)
  for (const migration of migrations.slice(version)) database.exec(migration)
  if (version === 0) database.exec('UPDATE state SET is_new = 1')
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`)
}

class Refusal extends Error {}

/** The content of the file is damaged. */
export class DamagedError extends Refusal {
  constructor() {
    super(words[11])
  }
}

/** Explains an error of SQLite or of the system about a file; completes "FILE …". */
export function explainSqlite(error: unknown): string {
  if (error instanceof Refusal) return error.message
  const { code, errcode = 0, message } = error as { code?: string; errcode?: number; message: string }
  const known = code === 'ERR_SQLITE_ERROR' ? (words[errcode] ?? words[errcode & 0xff]) : words[code ?? '']
  return known ?? `cannot be used: ${message}`
}

const restore = 'restore a backup of it, or move it away to start with an empty one, which revokes all tokens'

/** By system error code, or by SQLite's extended or primary result code. */
const words: Readonly<Record<string | number, string>> = {
  ENOENT: 'cannot be created, since its folder does not exist',
  ENOTDIR: 'cannot be created, since its folder is a file',
  EISDIR: 'is a folder',
  EROFS: 'cannot be written, since its file system is read-only',
  EACCES: 'cannot be read and written: permission denied',
  EPERM: 'cannot be read and written: permission denied',
  ENOSPC: 'cannot be created, since the disk is full',
  5: 'is in use by another process: stop that process, or set TLSBOUND_STATE_URL to another file',
  8: 'cannot be written',
  11: `is damaged: ${restore}`,
  13: 'cannot be used, since the disk is full',
  14: 'cannot be opened',
  26: `is not an SQLite database: ${restore}`,
  1544: 'cannot be written, since its folder is not writable: SQLite needs a log beside the file',
}
