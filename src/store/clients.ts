// Client registrations and secrets. A client that was removed stays as an empty record, so that every server learns of it.
import { nextSequence } from './revocations.ts'
import { type ClientRecord, type ClientSecret, ConflictError } from './store.ts'
import { ask, type Work } from './work.ts'

export function* putClient(id: string, registration: string, disabled: boolean): Work<void> {
  yield* ask(
    `INSERT INTO clients (id, registration, disabled, secrets, sequence) VALUES (?, ?, ?, '[]', ?)
     ON CONFLICT (id) DO UPDATE
     SET registration = excluded.registration, disabled = excluded.disabled, sequence = excluded.sequence`,
    id,
    registration,
    disabled ? 1 : 0,
    yield* nextSequence(),
  )
}

export function* listClients(): Work<ClientRecord[]> {
  const rows = yield* ask('SELECT * FROM clients WHERE registration IS NOT NULL ORDER BY id')
  return rows.map(row => ({
    id: row.id as string,
    registration: row.registration as string,
    disabled: row.disabled === 1,
    secrets: JSON.parse(row.secrets as string),
  }))
}

export function* removeClient(id: string): Work<boolean> {
  const sequence = yield* nextSequence()
  const removed = yield* ask(
    `UPDATE clients SET registration = NULL, disabled = 0, secrets = '[]', sequence = ?
     WHERE id = ? AND (registration IS NOT NULL OR secrets <> '[]') RETURNING id`,
    sequence,
    id,
  )
  return removed.length > 0
}

export function* listSecrets(clientId: string): Work<ClientSecret[]> {
  const [row] = yield* ask('SELECT secrets FROM clients WHERE id = ?', clientId)
  return row === undefined ? [] : JSON.parse(row.secrets as string)
}

export function* putSecret(clientId: string, id: string, hash: string): Work<void> {
  const sequence = yield* nextSequence() // first: from here on nobody else changes a client
  const others = (yield* listSecrets(clientId)).filter(secret => secret.id !== id)
  if (others.length > 1) throw new ConflictError(`client ${clientId} has two secrets already; remove one of them first`)
  yield* ask(
    `INSERT INTO clients (id, registration, disabled, secrets, sequence) VALUES (?, NULL, 0, ?, ?)
     ON CONFLICT (id) DO UPDATE SET secrets = excluded.secrets, sequence = excluded.sequence`,
    clientId,
    JSON.stringify([...others, { id, hash }]),
    sequence,
  )
}

export function* removeSecret(clientId: string, id: string): Work<boolean> {
  const sequence = yield* nextSequence()
  const secrets = yield* listSecrets(clientId)
  const others = secrets.filter(secret => secret.id !== id)
  if (others.length === secrets.length) return false
  yield* ask('UPDATE clients SET secrets = ?, sequence = ? WHERE id = ?', JSON.stringify(others), sequence, clientId)
  return true
}
