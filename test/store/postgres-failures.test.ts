// The shared store with a PostgreSQL that is down, crashes, hangs, is read-only or a standby, or closes connections: it
// refuses within seconds, recovers by itself, and loses no acknowledged change. RE01, RE04, RE06, I8.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { listen, unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'
import { runTlsbound } from '../helpers/process/process.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { load, recovery, refusal } from './failures.ts'

t.setTimeout(120_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0

/** Stores over one new, empty state. */
function open(t: Test, count: number, parameters = ''): Store[] {
  const url = postgres.url(`failures_${++schemas}`, parameters)
  const stores = Array.from({ length: count }, () => openPostgres(url, { connections: 4 }))
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  return stores
}

/** Queries over a separate connection. */
async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(postgres.url('public'))
  await client.connect()
  return client
    .query(sql)
    .then(({ rows }) => rows)
    .finally(() => client.end())
}

/** Returns what a server reports that starts on the database. */
const serve = (t: Test) =>
  runTlsbound(['serve'], t.testdir(), { TLSBOUND_STATE_URL: postgres.url(`failures_${schemas}`) })

const cutAll = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tlsbound'"

t.test('delivers a revocation to the other server within a second, also after its link was lost (RE04)', async t => {
  const [one, other] = open(t, 2) as [Store, Store]
  const { heard, until, stop } = await listen(other)
  for (const cut of [false, true, true]) {
    if (cut) await ask(cutAll)
    const value = `g${heard.length}`
    await recovery(() => one.revoke({ kind: 'grant', value, notBefore: 1, expires: 1_000_000 }))
    const took = await until(change => change.kind === 'revocation' && change.revocation.value === value)
    t.ok(took < 1000, `${cut ? 'cut' : 'control'}: known after ${Math.round(took)} ms`)
    t.ok(other.millisecondsSinceSync() < 2000)
  }
  stop()
})

t.test('loses no acknowledged change when connections are closed under load (RE06)', async t => {
  const stores = open(t, 2)
  const { compare, more, refusals } = load(stores)
  await more(20)
  for (let round = 0; round < 3; round++) {
    await ask(cutAll)
    await more(20)
  }
  t.ok(refusals.length > 0, 'some calls were refused')
  await compare(t, stores[1] as Store)
})

t.test(
  'recovers within seconds from a database crash under load, with all acknowledged changes (RE01, RE04)',
  async t => {
    const stores = open(t, 2)
    const [one, other] = stores as [Store, Store]
    const { heard, until } = await listen(other)
    const { compare, more } = load(stores)
    await more(50)
    for (const signal of ['SIGQUIT', 'SIGINT'] as const) {
      await postgres.stop(signal)
      await refusal(t, () => one.rotateRefreshToken('0-0-0', successor('x'), 2_000_000), 'a write')
      await refusal(t, () => one.findRefreshToken('0-0-0'), 'a read')
      await refusal(t, () => one.follow(() => {}), 'a new follower')
      await postgres.start()
      const took = await recovery(() => one.addNote('alice', signal, 1))
      t.ok(took < 5000, `recovered after ${Math.round(took)} ms`)
      await more(20)
    }
    await one.revoke({ kind: 'client', value: 'carol', notBefore: 1, expires: 1_000_000 })
    await until(change => change.kind === 'revocation' && change.revocation.value === 'carol')
    await compare(t, one)
    const numbers = heard.map(({ sequence }) => sequence)
    t.same(
      numbers,
      [...new Set(numbers)].toSorted((a, b) => a - b),
      'changes continue where they ended',
    )
  },
)

t.test('works once a database that was down at the start is up (RE04)', async t => {
  await postgres.stop('SIGINT')
  const [store] = open(t, 1) as [Store]
  await refusal(t, () => store.check(), 'down')
  await t.rejects(store.check(), { cause: { code: 'ECONNREFUSED' } })
  await postgres.start()
  await recovery(() => store.check())
  await t.resolves(store.createGrant(grant('g1'), 'r1'))
})

t.test('refuses calls after two seconds when the database hangs, and reports outdated changes (RE04)', async t => {
  const [one, other] = open(t, 2) as [Store, Store]
  await one.createGrant(grant('g1'), 'r1')
  const { until, stop } = await listen(other)
  t.ok(other.millisecondsSinceSync() < 1000, 'control')
  postgres.signalAll('SIGSTOP')
  try {
    await Promise.all([
      refusal(t, () => one.rotateRefreshToken('r1', successor('r2'), 2_000_000), 'a write'),
      refusal(t, () => one.findRefreshToken('r1'), 'a read'),
      refusal(t, () => other.findRefreshToken('r1'), 'on a connection still to be opened'),
    ])
    t.ok(other.millisecondsSinceSync() > 1500, 'the server knows that it may have missed changes')
  } finally {
    postgres.signalAll('SIGCONT')
  }
  const took = await recovery(() => one.revoke({ kind: 'grant', value: 'g1', notBefore: 1, expires: 1_000_000 }))
  t.ok(took < 5000, `recovered after ${Math.round(took)} ms`)
  await until(change => change.kind === 'revocation' && change.revocation.value === 'g1')
  t.ok(other.millisecondsSinceSync() < 2000)
  t.match(await other.rotateRefreshToken('r1', successor('r3'), 2_001_000), { outcome: 'revoked' })
  stop()
})

t.test('refuses changes with a read-only database, and recovers by itself (RE04)', async t => {
  const [one, other] = open(t, 2) as [Store, Store]
  await one.createGrant(grant('g1'), 'r1')
  await postgres.stop('SIGINT')
  await postgres.start({ default_transaction_read_only: 'on' })
  const readOnly = { ...unavailable, detail: 'read_only', cause: { message: /^the database is read-only \(default_/ } }
  for (const use of [
    () => one.check(),
    () => one.rotateRefreshToken('r1', successor('r2'), 2_000_000),
    () => one.revoke({ kind: 'all', value: '', notBefore: 1, expires: 2 }),
    () => other.findRefreshToken('r1'),
    () => other.follow(() => {}),
  ])
    await t.rejects(use() as Promise<unknown>, readOnly, 'no connection to it is used')
  const refused = await serve(t)
  t.match(refused, {
    code: 1,
    stderr: /the store cannot be used: the database is read-only \(default_transaction_read_only is on\)/,
  })
  await postgres.stop('SIGINT')
  await postgres.start()
  await recovery(() => one.check())
  t.match(await one.rotateRefreshToken('r1', successor('r2'), 2_000_000), { outcome: 'rotated' })

  const set = async (value: string) => {
    await ask(`ALTER SYSTEM SET default_transaction_read_only = ${value}`)
    await ask('SELECT pg_reload_conf()')
  }
  await set('on')
  await recovery(async () => {
    const error = await one.check().catch(error => error)
    if (error === undefined) throw new Error('not yet')
    t.match(error, readOnly, 'on connections that were writable when opened')
  })
  await t.rejects(one.rotateRefreshToken('r2', successor('r3'), 2_000_000), { ...unavailable, detail: 'read_only' })
  await set('off')
  await recovery(() => one.check())
  t.match(await one.rotateRefreshToken('r2', successor('r3'), 2_000_000), { outcome: 'rotated' })
})

t.test('does not follow a standby, and sends all changes again when it takes over (RE06)', async t => {
  const [store] = open(t, 1) as [Store]
  await store.putClient('alice', '{}')
  const { heard, stop } = await listen(store)
  await postgres.stop('SIGINT')
  const signal = join(postgres.folder, 'data', 'standby.signal')
  writeFileSync(signal, '')
  postgres.own(signal)
  await postgres.start()
  const standby = {
    ...unavailable,
    detail: 'read_only',
    cause: { message: 'connected to a read-only standby; connect to the primary' },
  }
  for (const use of [() => store.listClients(), () => store.check(), () => store.follow(() => {})])
    await t.rejects(use() as Promise<unknown>, standby, 'no connection to it is used')
  t.match(await serve(t), { code: 1, stderr: /connected to a read-only standby; connect to the primary\n$/ })
  await t.rejects(store.putClient('bob', '{}'), unavailable)
  const before = store.millisecondsSinceSync()
  await store.follow(() => {}).catch(() => {})
  t.ok(store.millisecondsSinceSync() > before, 'its changes become outdated')
  t.equal(heard.length, 1, 'control')

  await ask('SELECT pg_promote()')
  await recovery(() => store.putClient('bob', '{}'))
  await recovery(async () => {
    if (heard.length < 3) throw new Error('not notified')
  })
  const names = heard.map(change => change.kind === 'client' && change.client.id)
  t.same(names.slice(0, 3), ['alice', 'alice', 'bob'])
  t.ok(store.millisecondsSinceSync() < 1000)
  stop()
})
