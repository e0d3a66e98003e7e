// PostgreSQL through a pooler: a connection that lost its settings is not used, at the start and later; one that has them
// works like a direct one.
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { buildRevocation } from '../../src/core/revocations.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { listen, unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'
import { runTlsbound } from '../helpers/process/process.ts'
import { startPgBouncer } from '../helpers/server/pgbouncer.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { recovery } from './failures.ts'

t.setTimeout(240_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
const direct = postgres.url('tlsbound')

function open(t: Test, url: string): Store {
  const store = openPostgres(url, { connections: 3 })
  t.teardown(() => store.close())
  return store
}

async function ask(sql: string, url = direct): Promise<Record<string, unknown>[]> {
  const client = new Client(url)
  await client.connect()
  return client
    .query(sql)
    .then(({ rows }) => rows)
    .finally(() => client.end())
}

const tablesIn = (schema: string) => ask(`SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'`)
const refused = (message: RegExp) => ({
  ...unavailable,
  reason: 'store_unavailable',
  detail: 'session',
  cause: { name: 'SessionError', message },
})
const difference =
  /search_path is "\$user", public, not tlsbound; statement_timeout is 0 ms, not 2000; idle_.* is 0 ms, not 2000\. A pooler/

for (const mode of ['session', 'transaction'] as const)
  t.test(`refuses a pooler in ${mode} mode that drops settings, until the role has them`, async t => {
    const pooler = await startPgBouncer(t, postgres, mode)
    const url = pooler.through(direct)
    t.teardown(() => ask('ALTER ROLE tester RESET ALL'))
    const store = open(t, url)
    const error = await store.check().catch(error => error)
    t.match(error, refused(difference))
    await t.rejects(store.createGrant(grant(`never ${mode}`), `never ${mode}`), refused(difference))
    await t.rejects(
      store.follow(() => {}),
      refused(difference),
    )
    t.same(await tablesIn('public'), [], 'nothing is created elsewhere')

    const folder = t.testdir()
    const { code, stdout, stderr } = await runTlsbound(['serve'], folder, { TLSBOUND_STATE_URL: url })
    t.match({ code, stdout }, { code: 1, stdout: '' })
    t.match(stderr, /the store cannot be used: the connection lacks the requested settings: search_path is/)
    t.notMatch(stderr, /p@ss|p%40ss/)

    // Another installation in the schema that the pooler uses by default.
    const elsewhere = open(t, postgres.url('public'))
    await elsewhere.putClient('bob', '{}')
    await t.rejects(store.check(), refused(difference), 'nor with the tables of another installation')
    t.same(await ask('SELECT id FROM public.clients'), [{ id: 'bob' }])

    const [, remedy = ''] = /connect to PostgreSQL directly, or run: (ALTER ROLE .*;)$/.exec(error.cause.message) ?? []
    await ask(remedy)
    await pooler.reconnect()
    await recovery(() => store.check())
    const near = open(t, direct)
    const [heard, far] = [await listen(store), await listen(near)]
    for (const [index, [one, other, ears]] of [
      [store, near, far],
      [near, store, heard],
    ].entries() as ArrayIterator<[number, [Store, Store, typeof heard]]>) {
      const id = `${mode} ${index}`
      await one.createGrant(grant(id), `${id}-0`)
      t.match(await other.rotateRefreshToken(`${id}-0`, successor(`${id}-1`), 2_000_000), { outcome: 'rotated' })
      t.match(await one.findRefreshToken(`${id}-1`), { state: 'unused' })
      await one.revoke(buildRevocation('grant', id, 2000))
      const took = await ears.until(change => change.kind === 'revocation' && change.revocation.value === id)
      t.ok(took < 2000, `the other server was notified after ${Math.round(took)} ms`)
      t.match(await other.rotateRefreshToken(`${id}-1`, successor(`${id}-2`), 2_000_000), { outcome: 'revoked' })
    }
    const chain = Array.from({ length: 20 }, (_, index) => (index % 2 ? store : near).addNote(mode, `${index}`, index))
    t.equal((await Promise.all(chain)).length, 20, 'many at a time')
    for (const { stop } of [heard, far]) stop()

    // The pooler's target changes under a store that was working.
    await ask('ALTER ROLE tester RESET search_path')
    await pooler.reconnect()
    const lost = refused(/search_path is "\$user", public, not tlsbound\. A pooler/)
    const later = mode === 'transaction' ? store : open(t, url)
    await t.rejects(later.createGrant(grant(`lost ${mode}`), `lost ${mode}`), lost)
    await t.rejects(later.findRefreshToken(`${mode} 0-1`), lost)
    await t.rejects(later.check(), lost)
    await t.rejects(
      later.follow(() => {}),
      lost,
    )
    t.match(
      await ask('SELECT count(*)::int FROM public.grants'),
      [{ count: 0 }],
      'nothing was written to the other schema',
    )
    t.match(await near.findRefreshToken(`${mode} 0-1`), { state: 'revoked' }, 'a direct connection is not affected')
    await ask('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  })

t.test('names a pooler that rejects a setting, and what to do', async t => {
  const pooler = await startPgBouncer(t, postgres, 'session', [])
  const store = open(t, pooler.through(direct))
  await t.rejects(store.check(), refused(/does not support the parameter \w+: connect to PostgreSQL directly, or add/))
})

t.test('verifies the settings in a URL, in every spelling', async t => {
  const base = direct.replace(/\?.*/, '')
  for (const [parameters, schema] of [
    ['', 'tlsbound'],
    ['?options=-c%20search_path%3DUpper', 'upper'],
    ['?options=-c%20search_path%3D%22Two%20words%22', 'Two words'],
    ['?options=-c%20search_path%3Done%20-c%20search_path%3Dlast', 'last'],
    ['?options=-c%20search_path%3Dfirst,%5C%20public', 'first'],
    ['?options=--search_path%3Ddashed&statement_timeout=1500', 'dashed'],
    ['?statement_timeout=0&options=-c+lock_timeout%3D1s', 'tlsbound'],
  ] as const) {
    const store = open(t, base + parameters.replace('%22Two%20words%22', '%22Two%5C%20words%22'))
    await store.check()
    t.ok((await tablesIn(schema)).length > 5, parameters)
  }
  t.same(await tablesIn('public'), [])
  await ask(
    'CREATE SCHEMA older; SET search_path = older; CREATE TABLE tlsbound_schema (version integer); INSERT INTO tlsbound_schema VALUES (1000)',
  )
  const store = open(t, `${base}?options=-c%20search_path%3Dnewer,older`)
  await store.check()
  t.ok((await tablesIn('newer')).length > 5, 'later tables in the path belong to others')
})

t.test('refuses a refresh that waited for a revocation, at every isolation level of the database', async t => {
  for (const level of ['read committed', 'repeatable read', 'serializable']) {
    const schema = `isolation_${level.replaceAll(' ', '_')}`
    const option = `-c%20default_transaction_isolation%3D${encodeURIComponent(level.replaceAll(' ', '\\ '))}%20`
    const store = open(t, postgres.url(schema).replace('options=', `options=${option}`))
    await store.createGrant(grant('g1'), 'r1')
    const rival = new Client(postgres.url(schema))
    await rival.connect()
    await rival.query(
      "BEGIN; SELECT pg_advisory_xact_lock(hashtext('tlsbound revocations'), hashtext(current_schema()))",
    )
    const refresh = store.rotateRefreshToken('r1', successor('r2'), 2_000_000)
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'tlsbound'"
    await recovery(async () => {
      if ((await ask(waiting)).length === 0) throw new Error('not waiting yet')
    })
    await rival.query("INSERT INTO revocations VALUES ('grant', 'g1', 2000, 9000000, 1000); COMMIT")
    await rival.end()
    t.match(await refresh, { outcome: 'revoked' }, level)
  }
})
