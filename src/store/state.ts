// Which state this is and how far it has come, so that another or an older one in its place is noticed (state-record.ts).
import { nextSequence } from './revocations.ts'
import type { StateIdentity } from './store.ts'
import { ask, type Work } from './work.ts'

export function* identify(): Work<StateIdentity> {
  const [row] = yield* ask('SELECT id, is_new, (SELECT value FROM news_sequence) AS position FROM state')
  return { id: row?.id as string, position: row?.position as number, isNew: row?.is_new === 1 }
}

/** Notes that the state is not new any longer. The answer is its position then. */
export function* acknowledge(): Work<number> {
  yield* ask('UPDATE state SET is_new = 0')
  return yield* nextSequence()
}
