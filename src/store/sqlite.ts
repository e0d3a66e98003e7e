// The embedded store: one SQLite file, written through to the disk before a call returns.
import { DatabaseSync } from 'node:sqlite'
import { OAuthError } from '../core/errors.ts'
import type { Note, Store } from './store.ts'

const schema = `
  CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY,
    client_id TEXT NOT NULL,
    text TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS notes_by_client ON notes (client_id, id DESC);
`

/** Opens or makes the store at `path`; `:memory:` keeps nothing. @throws Error when the file cannot be used. */
export function openSqlite(path: string): Store {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 1000;')
  database.exec(schema)
  const insert = database.prepare('INSERT INTO notes (client_id, text, created) VALUES (?, ?, ?)')
  const select = database.prepare('SELECT id, text, created FROM notes WHERE client_id = ? ORDER BY id DESC LIMIT ?')
  return {
    addNote: (clientId, text, created) =>
      orUnavailable(() => {
        const { lastInsertRowid } = insert.run(clientId, text, created)
        return { id: Number(lastInsertRowid), text, created }
      }),
    listNotes: (clientId, limit) =>
      orUnavailable(() => select.all(clientId, limit).map(row => ({ ...row }) as unknown as Note)),
    close: () => database.close(),
  }
}

function orUnavailable<T>(query: () => T): T {
  try {
    return query()
  } catch (cause) {
    throw Object.assign(new OAuthError('temporarily_unavailable', 'store_unavailable'), { cause })
  }
}
