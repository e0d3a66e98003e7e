// Opens the file of an embedded store for this process alone, brings its schema up to date, and says in one sentence what
// is wrong with it if it cannot be used.
import { accessSync, closeSync, constants, openSync, statSync } from 'node:fs'
import { DatabaseSync } from './node-sqlite.ts'

/** Says in the file that it is one of ours: "tlsb" (https://www.sqlite.org/fileformat2.html#application_id). */
export const applicationId = 0x746c7362

/** Each makes the next version of the schema; what was once released is never changed. */
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
]

/** Version of the schema that this program writes. */
export const schemaVersion = migrations.length

/**
 * Opens or makes the database at `path`, or a passing one for `:memory:`. `isIntact`: its content is known to be what was
 * written, and need not be checked. @throws Error with one sentence that says why not.
 */
export function openDatabase(path: string, isIntact = false): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    if (path !== ':memory:') ensureFile(path)
    database = new DatabaseSync(path, { timeout: 500 })
    // The lock on the file is taken with the first statement and kept until the end: what is remembered beside the file,
    // such as who follows its news, is only right when nobody else writes to it.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    if (!isIntact) requireIntegrity(database)
    migrate(database)
    return database
  } catch (cause) {
    database?.close()
    throw new Error(`the state file ${path} ${describe(cause)}`, { cause })
  }
}

/** Makes the file, for its owner alone. An existing one is not opened: closing it again would give up SQLite's locks. */
function ensureFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (statSync(path).isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    accessSync(path, constants.R_OK | constants.W_OK)
  }
}

/** The largest file whose pages are all checked, in octets: three seconds of work. */
const largestChecked = 1_073_741_824

/**
 * Finds damage: of all pages in a file of moderate size, and of each octet of what must not be lost, since that is in a table
 * and in an index. @throws Refusal
 */
function requireIntegrity(database: DatabaseSync): void {
  const ask = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0]
  if (ask('PRAGMA user_version') === 0) return
  const size = Number(ask('PRAGMA page_count')) * Number(ask('PRAGMA page_size'))
  const checks = ['integrity_check(revocations)', 'integrity_check(clients)']
  for (const check of size <= largestChecked ? ['quick_check', ...checks] : checks)
    if (ask(`PRAGMA ${check}`) !== 'ok') throw new Refusal(words[11] as string)
}

function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  const read = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0] as number
  const version = read('user_version')
  const foreign = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name <> 'notes'").get()
  const ours = read('application_id') === applicationId || (version === 0 && foreign === undefined)
  if (!ours) throw new Refusal('is the database of another program')
  if (version > migrations.length)
    throw new Refusal(`was written by a newer version of this program (schema ${version}, here ${migrations.length})`)
  for (const migration of migrations.slice(version)) database.exec(migration)
  if (version === 0) database.exec('UPDATE state SET is_new = 1')
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`)
}

class Refusal extends Error {}

function describe(error: unknown): string {
  if (error instanceof Refusal) return error.message
  const { code, errcode = 0, message } = error as { code?: string; errcode?: number; message: string }
  const known = code === 'ERR_SQLITE_ERROR' ? (words[errcode] ?? words[errcode & 0xff]) : words[code ?? '']
  return known ?? `cannot be used: ${message}`
}

const restore = 'restore a backup of it, or move it away to start anew, which revokes all tokens'

/** By the code of the system, or by SQLite's result code, extended or primary. */
const words: Readonly<Record<string | number, string>> = {
  ENOENT: 'cannot be made, since its folder does not exist',
  ENOTDIR: 'cannot be made, since its folder is a file',
  EISDIR: 'is a folder',
  EROFS: 'cannot be written, since its file system is read-only',
  EACCES: 'cannot be read and written, for lack of permission',
  EPERM: 'cannot be read and written, for lack of permission',
  ENOSPC: 'cannot be made, since there is no room on the disk',
  5: 'is in use by another process',
  8: 'cannot be written',
  11: `is damaged: ${restore}`,
  13: 'cannot be used, since there is no room on the disk',
  14: 'cannot be opened',
  26: `is not an SQLite database: ${restore}`,
  1544: 'cannot be written, since its folder is not writable, where SQLite keeps a log beside it',
}
