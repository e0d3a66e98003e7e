// The servers that use a shared store. Each records itself again and again; one that has not done so for a while has ended.
import type { KnownServer, ServerRecord, ServersFound } from './store.ts'
import { ask, type Row, type Work } from './work.ts'

/** Milliseconds after which a server that has not recorded itself again counts as ended. */
export const serverLifetime = 15_000

/** Milliseconds that a record may be in the future: the clock was set back when there are more. A running server records itself again. */
const clockSlack = 1000

/** Milliseconds after which its record is removed. */
const keptFor = 3_600_000

/** The servers that have recorded themselves lately, except the one with the id. `clock`: as in Performer. */
export function* listServers(id: string, clock: string): Work<ServersFound> {
  const rows = yield* ask(
    `SELECT t.now, s.id, s.description, s.seen FROM (SELECT ${clock} AS now) AS t
     LEFT JOIN servers s ON s.id <> ? AND s.seen > t.now - ? AND s.seen < t.now + ? ORDER BY s.id`,
    id,
    serverLifetime,
    clockSlack,
  )
  const [first] = rows as readonly [Row]
  return { now: first.now as number, others: rows.filter(row => row.id !== null).map(readServer) }
}

/** Records a server, unless `admits` returns false for the others. `lock` lets one server after the other do so. */
export function* recordServer(
  { id, description }: Pick<KnownServer, 'id' | 'description'>,
  admits: ((found: ServersFound) => boolean) | undefined,
  { clock, lock }: { readonly clock: string; readonly lock: string },
): Work<ServerRecord> {
  if (admits !== undefined) yield* ask(lock)
  const found = yield* listServers(id, clock)
  if (admits?.(found) === false) return { ...found, isRecorded: false }
  if (admits !== undefined) yield* ask('DELETE FROM servers WHERE seen < ?', found.now - keptFor)
  yield* ask(
    `INSERT INTO servers (id, description, seen) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET description = excluded.description, seen = excluded.seen`,
    id,
    description,
    found.now,
  )
  return { ...found, isRecorded: true }
}

export function* removeServer(id: string): Work<void> {
  yield* ask('DELETE FROM servers WHERE id = ?', id)
}

function readServer({ id, description, seen }: Row): KnownServer {
  return { id: id as string, description: description as string, seen: seen as number }
}
