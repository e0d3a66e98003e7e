// The shared store on a real PostgreSQL: the contract with two stores on one database, like two servers.
import t, { type Test } from 'tap'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { createTime, storeContract } from '../../src/testing/store-contract.ts'
import { grant } from '../../src/testing/store-grant.ts'
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
  'decides between race and retry by the clock of the database, whatever the servers’ clocks say (N-42)',
  async t => {
    const [one, other, { pass }] = await open(t)
    await one.createGrant(grant('g1'), 'r1')
    const [behind, ahead] = [2_000_000, 2_030_000]
    t.match(await one.rotateRefreshToken('r1', 'r2', behind), { outcome: 'rotated' })
    t.match(await other.rotateRefreshToken('r1', 'x', ahead), { outcome: 'raced' })
    t.match(await one.rotateRefreshToken('r1', 'x', 0), { outcome: 'raced' })
    await pass(1000)
    t.match(
      await one.rotateRefreshToken('r1', 'r2b', behind),
      { outcome: 'retried' },
      'although no time has passed here',
    )
    await pass(1000)
    t.match(
      await other.rotateRefreshToken('r1', 'r2c', 90_000_000),
      { outcome: 'retried' },
      'although a day has passed here',
    )
    await pass(60_000)
    t.match(await one.rotateRefreshToken('r1', 'x', behind), { outcome: 'reused' })
    t.match(await one.rotateRefreshToken('r1', 'x', ahead), { outcome: 'revoked' })
  },
)

t.test(
  'judges a use that had to wait for the database by its arrival: a race does not become a retry (I6)',
  async t => {
    const [one, other, { pass }] = await open(t)
    await one.createGrant(grant('g1'), 'r1')
    const before = performance.now() - 2500 // before the first use, and performed 1.5 seconds after it
    t.match(await one.rotateRefreshToken('r1', 'r2', 2_000_000), { outcome: 'rotated' })
    await pass(1500)
    t.match(await other.rotateRefreshToken('r1', 'x', 2_000_000, before), { outcome: 'raced' })
    t.match(
      await other.rotateRefreshToken('r1', 'r2b', 2_000_000),
      { outcome: 'retried' },
      'control: a use that arrives now',
    )
  },
)
