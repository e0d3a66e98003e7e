// The notes of the demo's resource. Their text is stored as JSON: PostgreSQL's text cannot contain U+0000.
import type { Note } from './store.ts'
import { ask, type Work } from './work.ts'

/** Maximum number of notes per client. Beyond it the oldest are removed, so that no client fills the disk. */
export const notesLimit = { count: 100, octets: 262_144 }

const insert = 'INSERT INTO notes (client_id, text, created) VALUES (?, ?, ?) RETURNING id'

const removeOldest = `DELETE FROM notes WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER newest AS position, sum(octet_length(text)) OVER newest AS octets
    FROM notes WHERE client_id = ? WINDOW newest AS (ORDER BY id DESC)) AS sized
  WHERE position > ? OR (octets > ? AND position > 1))`

export function* addNote(clientId: string, text: string, created: number): Work<Note> {
  const [row] = yield* ask(insert, clientId, JSON.stringify(text), created)
  yield* ask(removeOldest, clientId, notesLimit.count, notesLimit.octets)
  return { id: row?.id as number, text, created }
}

export function* listNotes(clientId: string, limit: number): Work<Note[]> {
  const sql = 'SELECT id, text, created FROM notes WHERE client_id = ? ORDER BY id DESC LIMIT ?'
  const rows = yield* ask(sql, clientId, limit)
  return rows.map(row => ({ ...row, text: JSON.parse(row.text as string) }) as unknown as Note)
}
