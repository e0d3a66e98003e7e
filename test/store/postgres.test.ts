// The shared store on a real PostgreSQL: the contract with two stores on one database, like two servers.
import t, { type Test } from 'tap'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'
import { createTime, storeContract } from '../../src/testing/store-contract/store-contract.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { ageRefreshTokens } from '../helpers/tokens/age-refresh-tokens.ts'

t.setTimeout(120_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0

async function open(t: Test) {
  const url = postgres.url(`contract_${++schemas}`)
  const stores: [Store, Store] = [openPostgres(url, { connections: 4 }), openPostgres(url, { connections: 4 })]
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  return [...stores, createTime(milliseconds => ageRefreshTokens(url, milliseconds))] as const
}

for (const { title, run } of storeContract(open)) t.test(title, run)

t.test(
  'decides whether a retry is late by the clock of the database, whatever the servers’ clocks say (N-42)',
  async t => {
    const [one, other, { pass }] = await open(t)
    await one.createGrant(grant('g1'), 'r1')
    const [behind, ahead] = [2_000_000, 2_030_000]
    const again = { outcome: 'retried', sealed: 'sealed r2' }
    t.match(await one.rotateRefreshToken('r1', successor('r2'), behind), { outcome: 'rotated' })
    for (const now of [behind, ahead, 0, 90_000_000]) {
      t.match(await one.rotateRefreshToken('r1', successor('x'), now), again)
      t.match(await other.rotateRefreshToken('r1', successor('x'), now), again)
    }
    await pass(58_000)
    t.match(await other.rotateRefreshToken('r1', successor('x'), 90_000_000), again, 'although a day has passed here')
    await pass(2000)
    for (const now of [behind, ahead])
      t.match(
        await one.rotateRefreshToken('r1', successor('x'), now),
        { outcome: 'reused', detail: 'answer_lost' },
        'although no minute has passed here',
      )
  },
)

t.test('judges a use that had to wait for the database by its arrival (I6)', async t => {
  const [one, other, { pass }] = await open(t)
  await one.createGrant(grant('g1'), 'r1')
  t.match(await one.rotateRefreshToken('r1', successor('r2'), 2_000_000), { outcome: 'rotated' })
  await pass(61_000)
  const arrived = performance.now() - 2000 // 59 seconds after the first use, and performed two seconds later
  t.match(await other.rotateRefreshToken('r1', successor('x'), 2_000_000, { arrived }), { outcome: 'retried' })
  t.match(
    await other.rotateRefreshToken('r1', successor('x'), 2_000_000),
    { outcome: 'reused' },
    'control: a use that arrives now',
  )
})
