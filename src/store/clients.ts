// Client registrations and secrets. A removed client stays as an empty record, so that every server learns of the removal.
import type { Revocation } from '../core/revocations.ts'
import { nextSequence, revoke } from './revocations.ts'
import { type ClientRecord, type ClientSecret, ConflictError } from './store.ts'
import { ask, type Work } from './work.ts'

export function* putClient(
  id: string,
  registration: string,
  revocation: Revocation | undefined,
  lock: string | undefined,
): Work<void> {
  if (revocation !== undefined) yield* revoke(revocation, lock)
  yield* ask(
    `INSERT INTO clients (id, registration, disabled, secrets, sequence) VALUES (?, ?, 0, '[]', ?)
     ON CONFLICT (id) DO UPDATE SET registration = excluded.registration, sequence = excluded.sequence`,
    id,
    registration,
    yield* nextSequence(),
  )
}

export function* disableClient(id: string, registration: string): Work<boolean> {
  const disabled = yield* ask(
    `INSERT INTO clients (id, registration, disabled, secrets, sequence) VALUES (?, ?, 1, '[]', ?)
     ON CONFLICT (id) DO UPDATE
     SET registration = coalesce(clients.registration, excluded.registration), disabled = 1, sequence = excluded.sequence
     WHERE clients.disabled = 0 RETURNING id`,
    id,
    registration,
    yield* nextSequence(),
  )
  return disabled.length > 0
}

export function* enableClient(id: string): Work<boolean> {
  const sequence = yield* nextSequence()
  const enabled = yield* ask(
    'UPDATE clients SET disabled = 0, sequence = ? WHERE id = ? AND disabled = 1 RETURNING id',
    sequence,
    id,
  )
  return enabled.length > 0
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
  const sequence = yield* nextSequence() // first: it locks out other changes of clients
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
