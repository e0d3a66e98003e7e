// The identity and position of a state, so that a replaced or older one is noticed (state-record.ts).
import { nextSequence } from './revocations.ts'
import type { StateIdentity } from './store.ts'
import { ask, type Work } from './work.ts'

export function* identify(): Work<StateIdentity> {
  const [row] = yield* ask('SELECT id, is_new, (SELECT value FROM news_sequence) AS position FROM state')
  return { id: row?.id as string, position: row?.position as number, isNew: row?.is_new === 1 }
}

/** Records that the state is no longer new. Returns its position. */
export function* acknowledge(): Work<number> {
  yield* ask('UPDATE state SET is_new = 0')
  return yield* nextSequence()
}
