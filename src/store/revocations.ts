// Revocations, and the sequence numbers of all changes that each server must learn.
import { afterlife, type Revocation } from '../core/revocations.ts'
import type { Change } from './store.ts'
import { ask, askForLists, type Value, type Work } from './work.ts'

/**
 * Returns the next sequence number. Its row stays locked until the transaction ends, so numbers become visible in order: a
 * reader of one number has missed none before it.
 */
export function* nextSequence(): Work<number> {
  const [row] = yield* ask('UPDATE news_sequence SET value = value + 1 RETURNING value')
  return row?.value as number
}

/** When the last affected grant expires. A revocation is stored while the grant or its access tokens may be valid. */
const lastGrant: Readonly<Record<Revocation['kind'], string>> = {
  token:
    'SELECT max(expires) AS last FROM grants WHERE number = (SELECT grant_number FROM refresh_tokens WHERE hash = ?)',
  grant: 'SELECT max(expires) AS last FROM grants WHERE id = ?',
  client: 'SELECT max(expires) AS last FROM grants WHERE client_id = ?',
  certificate: 'SELECT max(expires) AS last FROM grants WHERE certificate = ?',
  all: "SELECT max(expires) AS last FROM grants WHERE ? = ''",
}

export function* revoke(revocation: Revocation, lock: string | undefined): Work<void> {
  if (lock !== undefined) yield* ask(lock)
  yield* keepRevocation(revocation)
}

/** Stores a revocation. An existing one for the same thing gets the later of both times and a new number. */
export function* keepRevocation({ kind, value: given, notBefore, expires }: Revocation): Work<void> {
  const value = kind === 'all' ? '' : given
  const [row] = yield* ask(lastGrant[kind], value)
  const last = row?.last as number | null | undefined
  const later = (column: string) =>
    `${column} = CASE WHEN excluded.${column} > revocations.${column} THEN excluded.${column} ELSE revocations.${column} END`
  yield* ask(
    `INSERT INTO revocations (kind, value, not_before, expires, sequence) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (kind, value) DO UPDATE
     SET ${later('not_before')}, ${later('expires')}, sequence = excluded.sequence`,
    kind,
    value,
    notBefore,
    last == null ? expires : Math.max(expires, last + afterlife),
    yield* nextSequence(),
  )
}

/** Returns the oldest changes after the number `since`, at most `limit`, from one snapshot. */
export function* readChanges(since: number, limit: number): Work<Change[]> {
  const rows = yield* askForLists(
    `SELECT sequence, kind, value, not_before, expires, NULL AS registration, NULL AS disabled, NULL AS secrets
       FROM revocations WHERE sequence > ?
     UNION ALL
     SELECT sequence, 'record', id, NULL, NULL, registration, disabled, secrets FROM clients WHERE sequence > ?
     ORDER BY sequence LIMIT ?`,
    since,
    since,
    limit,
  )
  return rows.map(readOne)
}

/**
 * Returns the changes until the number `last`, without the revocations of tokens and grants. They are found by the index of the kinds,
 * because the others are many.
 */
export function* readUnpacked(last: number): Work<Change[]> {
  const rows = yield* askForLists(
    `SELECT sequence, kind, value, not_before, expires, NULL AS registration, NULL AS disabled, NULL AS secrets
       FROM revocations WHERE kind IN ('client', 'certificate', 'all') AND sequence <= ?
     UNION ALL
     SELECT sequence, 'record', id, NULL, NULL, registration, disabled, secrets FROM clients WHERE sequence <= ?
     ORDER BY sequence`,
    last,
    last,
  )
  return rows.map(readOne)
}

function readOne([
  sequence,
  kind,
  value,
  notBefore,
  expires,
  registration,
  disabled,
  secrets,
]: readonly Value[]): Change {
  if (kind !== 'record')
    return { sequence, kind: 'revocation', revocation: { kind, value, notBefore, expires } } as Change
  return {
    sequence: sequence as number,
    kind: 'client',
    client: {
      id: value as string,
      registration: (registration as string | null) ?? undefined,
      disabled: disabled === 1,
      secrets: JSON.parse(secrets as string),
    },
  }
}
