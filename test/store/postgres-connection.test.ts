// How the shared store connects: URL, TLS, password and tables, and conflicts with other transactions.
// RE06.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { asBefore, checkMigrated, fillBefore } from './earlier-refresh-tokens.ts'
import { recovery } from './failures.ts'

t.setTimeout(120_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0

/** Stores over one new, empty state. */
function open(t: Test, count: number, parameters = ''): Store[] {
  const url = postgres.url(`connection_${++schemas}`, parameters)
  const stores = Array.from({ length: count }, () => openPostgres(url))
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

t.test('creates the tables once when many servers start on an empty database', async t => {
  const stores = open(t, 10)
  await Promise.all(stores.map(store => store.check()))
  await Promise.all(stores.map((store, index) => store.createGrant(grant(`g${index}`), `r${index}`)))
  for (const store of stores) t.match(await store.findRefreshToken('r7'), { state: 'unused' })
})

t.test('creates the tables in the schema tlsbound without a search path', async t => {
  const url = postgres.url('x').replace(/\?.*/, '')
  for (const each of [
    url,
    `${url}?options=-c%20lock_timeout%3D1000`,
    `${url}?options=-c+lock_timeout%3D1s&sslmode=disable`,
  ]) {
    const store = openPostgres(each)
    t.teardown(() => store.close())
    await store.addNote('alice', each, 1)
    t.match(await ask("SELECT count(*) FROM tlsbound.notes WHERE client_id = 'alice'"), [{ count: String }])
  }
  t.same(await ask('SELECT count(*)::int FROM tlsbound.notes'), [{ count: 3 }])
})

t.test('rejects an invalid URL at once, and shows neither it nor a wrong password', async t => {
  for (const url of ['mysql://a:secret@b/c', 'postgres://a:secret@b:port/c', 'postgres://a:se%ZZcret@b/c?options=%']) {
    const error = (await t.rejects(async () => openPostgres(url), TypeError)) as unknown as Error
    t.notMatch(String(error?.stack), /secret|se%/, url)
    t.equal(error?.cause, undefined)
  }
  t.throws(() => openPostgres(`${postgres.url('x')}&sslmode=verify-full&sslrootcert=/missing/ca.crt`), {
    message: 'the URL of the store names a missing file: /missing/ca.crt',
  })
  const store = openPostgres(postgres.url('x').replace('a%20p%40ss', 'another-secret'))
  t.teardown(() => store.close())
  const error = (await store.check().catch((error: unknown) => error)) as Error & { cause: Error }
  t.match(error, { ...unavailable, cause: { code: '28P01' } })
  t.notMatch(JSON.stringify([error.stack, error.cause, error.cause.stack]), /another-secret/)
})

t.test('rejects a database of a newer version, and says why', async t => {
  const [first] = open(t, 1) as [Store]
  await first.check()
  await ask(`UPDATE connection_${schemas}.tlsbound_schema SET version = 1000`)
  const store = openPostgres(postgres.url(`connection_${schemas}`))
  t.teardown(() => store.close())
  await t.rejects(store.check(), {
    ...unavailable,
    cause: { message: /newer version of this program \(1000, here \d+\)$/ },
  })
})

t.test('migrates refresh tokens of the version before sealed successors', async t => {
  const [before] = open(t, 1) as [Store]
  await fillBefore(before)
  const schema = `connection_${schemas}`
  const version = 'DROP TABLE servers; UPDATE tlsbound_schema SET version = 4'
  await ask([`SET search_path = ${schema}`, ...asBefore, version].join(';'))
  const stores = Array.from({ length: 3 }, () => openPostgres(postgres.url(schema)))
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  await Promise.all(stores.map(store => store.check()))
  await checkMigrated(t, stores[0] as Store)
})

t.test('retries transactions that conflict with others (RE06)', async t => {
  const url = postgres.url('undone')
  const stores = [openPostgres(url), openPostgres(url), openPostgres(url)] as const
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  await stores[0].check()
  await ask(`CREATE SEQUENCE undone.changes; CREATE FUNCTION undone.undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('undone.changes') % 3 = 0 THEN RAISE 'could not serialize access' USING ERRCODE = '40001'; END IF;
    RETURN NEW; END $$;
    CREATE TRIGGER undo BEFORE INSERT OR UPDATE ON undone.clients FOR EACH ROW EXECUTE FUNCTION undone.undo()`)
  for (let round = 0; round < 20; round++)
    await Promise.all(stores.map((store, index) => store.putClient(`c${index}`, `{"round":${round}}`)))
  t.match(
    (await stores[0].listClients()).map(({ registration }) => registration),
    Array(3).fill('{"round":19}'),
  )
  t.match(postgres.log(), /could not serialize access/, 'some conflicted')
  await ask('DROP TRIGGER undo ON undone.clients')

  const rival = new Client(url)
  await rival.connect()
  await rival.query("BEGIN ISOLATION LEVEL READ COMMITTED; UPDATE clients SET disabled = 1 WHERE id = 'c0'")
  const change = stores[0].putClient('c0', '{"round":20}')
  const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'tlsbound'"
  await recovery(async () => {
    if ((await ask(waiting)).length === 0) throw new Error('no transaction waits')
  })
  await rival.query('UPDATE news_sequence SET value = value; COMMIT')
  await rival.end()
  await t.resolves(change)
  t.match(postgres.log(), /deadlock detected/)
  t.match(await stores[1].listClients(), [{ id: 'c0', registration: '{"round":20}', disabled: true }, {}, {}])
})

t.test('refuses calls after two seconds of waiting, and frees their connections (RE06)', async t => {
  const store = openPostgres(postgres.url(`connection_${++schemas}`), { connections: 2 })
  t.teardown(() => store.close())
  await store.createGrant(grant('g1'), 'r1')
  const blocker = new Client(postgres.url(`connection_${schemas}`))
  await blocker.connect()
  await blocker.query('BEGIN; LOCK TABLE grants')
  const uses = Array.from({ length: 6 }, (_, index) =>
    store.rotateRefreshToken('r1', successor(`x${index}`), 2_000_000),
  )
  const start = performance.now()
  for (const result of await Promise.allSettled(uses)) t.match(result, { status: 'rejected', reason: unavailable })
  t.ok(performance.now() - start < 5000, `all refused after ${Math.round(performance.now() - start)} ms`)
  await blocker.query('COMMIT')
  await blocker.end()
  t.match(await store.rotateRefreshToken('r1', successor('r2'), 2_000_000), { outcome: 'rotated' })
})

t.test('follows the URL for TLS: with verify-full, only the given authority is trusted', async t => {
  const { ca, server } = makeDemoPki()
  const files = { 'ca.crt': ca.certificate, 'other.crt': makeDemoPki().ca.certificate }
  const folder = t.testdir(files)
  for (const [name, text] of [
    ['server.crt', server.certificate],
    ['server.key', server.key],
  ] as const) {
    writeFileSync(join(postgres.folder, name), text)
    postgres.own(join(postgres.folder, name))
  }
  const at = (name: string) => join(postgres.folder, name)
  await postgres.stop('SIGINT')
  await postgres.start({ ssl: 'on', ssl_cert_file: at('server.crt'), ssl_key_file: at('server.key') })
  const [good, bad] = Object.keys(files).map(name => {
    const store = openPostgres(postgres.url('tls', `&sslmode=verify-full&sslrootcert=${join(folder, name)}`))
    t.teardown(() => store.close())
    return store
  }) as [Store, Store]
  await good.addNote('alice', 'x', 1)
  t.match(
    await ask(
      "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'tlsbound'",
    ),
    [{ ssl: true }],
  )
  await t.rejects(bad.check(), { ...unavailable, cause: { message: /certificate/ } })
})
