// Refresh tokens as version 4 of the schema stored them, for the tests of the migration: in SQL that both databases understand.
import type { Test } from 'tap'
import type { Store } from '../../src/store/store.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'

/** Turns an empty state of the current version into one of version 4, except for its version number, with three grants. */
export const asBefore = [
  'ALTER TABLE refresh_tokens ADD COLUMN last_used bigint',
  'ALTER TABLE refresh_tokens ADD COLUMN superseded integer NOT NULL DEFAULT 0',
  'ALTER TABLE refresh_tokens DROP COLUMN sealed',
  'ALTER TABLE grants DROP COLUMN rebound',
  "INSERT INTO refresh_tokens (hash, grant_number) SELECT 'unused', number FROM grants WHERE id = 'g1'",
  `INSERT INTO refresh_tokens (hash, grant_number, first_used, last_used, successor)
     SELECT 'used', number, 2000000, 2000000, 'next' FROM grants WHERE id = 'g2'`,
  "INSERT INTO refresh_tokens (hash, grant_number) SELECT 'next', number FROM grants WHERE id = 'g2'",
  `INSERT INTO refresh_tokens (hash, grant_number, superseded) SELECT 'superseded', number, 1 FROM grants WHERE id = 'g2'`,
]

/** Fills a state before it is turned into an earlier one. */
export async function fillBefore(store: Store): Promise<void> {
  for (const id of ['g1', 'g2']) await store.createGrant(grant(id), `first of ${id}`)
}

/** Tests a state of version 4 after its migration, one second after the use of `used`. */
export async function checkMigrated(t: Pick<Test, 'same' | 'match'>, store: Store): Promise<void> {
  const now = 2_001_000
  t.match(await store.rotateRefreshToken('unused', successor('u2'), now), { outcome: 'rotated', grant: grant('g1') })
  t.match(await store.rotateRefreshToken('unused', successor('x'), now), { outcome: 'retried', sealed: 'sealed u2' })
  for (const hash of ['used', 'superseded']) {
    t.match(await store.findRefreshToken(hash), { state: 'used' }, hash)
    const reused = await store.rotateRefreshToken(hash, successor('x'), now)
    t.match(reused, { outcome: 'reused', detail: 'answer_lost' }, `${hash}: without a sealed successor`)
  }
  t.match(await store.rotateRefreshToken('next', successor('n2'), now), { outcome: 'rotated' }, 'its successor works')
  t.match(await store.rotateRefreshToken('used', successor('x'), now), { outcome: 'reused', detail: 'reused' })
}
