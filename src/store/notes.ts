// The notes of the demo's resource. Their text is kept as JSON: PostgreSQL's text cannot hold U+0000.
import type { Note } from './store.ts'
import { ask, type Work } from './work.ts'

export function* addNote(clientId: string, text: string, created: number): Work<Note> {
  const sql = 'INSERT INTO notes (client_id, text, created) VALUES (?, ?, ?) RETURNING id'
  const [row] = yield* ask(sql, clientId, JSON.stringify(text), created)
  return { id: row?.id as number, text, created }
}

export function* listNotes(clientId: string, limit: number): Work<Note[]> {
  const sql = 'SELECT id, text, created FROM notes WHERE client_id = ? ORDER BY id DESC LIMIT ?'
  const rows = yield* ask(sql, clientId, limit)
  return rows.map(row => ({ ...row, text: JSON.parse(row.text as string) }) as unknown as Note)
}
