// The shared store on a real PostgreSQL: the contract over two stores on one database, as two servers have them.
import t from 'tap'
import { openPostgres } from '../../src/store/postgres.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { testStore } from './contract.ts'

t.setTimeout(120_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0

testStore(t, async t => {
  const url = postgres.url(`contract_${++schemas}`)
  const stores = [openPostgres(url, { connections: 4 }), openPostgres(url, { connections: 4 })] as const
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  return stores
})
