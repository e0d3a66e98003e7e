// Servers on one PostgreSQL compare their signing keys: at the start, while keys are rotated, and after a server was killed.
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import type { KeyRing } from '../../src/keys/key-ring.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { joinServers, type OtherServers } from '../../src/process/other-servers.ts'
import {
  describeKey,
  ensureKeysFile,
  importKeysFile,
  loadKeyRing,
  rotateKeysFile,
} from '../../src/process/signing-keys.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { startPgBouncer } from '../helpers/server/pgbouncer.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0
const now = () => Math.floor(Date.now() / 1000)

interface Started {
  readonly servers: OtherServers
  readonly ring: KeyRing
  readonly lines: string[]
}

interface Database {
  readonly url: string
  open(): Store
  ask(sql: string): Promise<Record<string, unknown>[]>
  /** Starts what a server starts. Rejects as it does. */
  start(ring: KeyRing, keysFile?: string, through?: string): Promise<Started>
}

function createDatabase(t: Test): Database {
  const url = postgres.url(`other_servers_${++schemas}`)
  const open = (through = url) => {
    const store = openPostgres(through, { connections: 2 })
    t.teardown(() => store.close())
    return store
  }
  return {
    url,
    open,
    async ask(sql) {
      const client = new Client(url)
      await client.connect()
      return client
        .query(sql)
        .then(({ rows }) => rows)
        .finally(() => client.end())
    },
    async start(ring, keysFile, through) {
      const lines: string[] = []
      const write = (level: string) => (line: string) => void lines.push(`${level} ${line}`)
      const log = { info: write('info'), warn: write('warn'), error: write('error') }
      const servers = await joinServers(open(through), { keys: ring, keysFile, log: log as never })
      t.teardown(() => servers.leave())
      return { servers, ring, lines }
    },
  }
}

/** A file with one key, and copies of it. */
async function createFiles(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const first = join(folder, 'keys.json')
  await ensureKeysFile(first, 'ES256')
  let copies = 0
  return {
    first,
    copy() {
      const path = join(folder, `copy-${++copies}.json`)
      cpSync(first, path)
      return path
    },
    async other() {
      const path = join(folder, `other-${randomUUID()}.json`)
      await ensureKeysFile(path, 'ES256')
      return path
    },
  }
}

const load = (path: string) => loadKeyRing(path, now())
const hasLine = (server: Started, pattern: RegExp) => until(() => server.lines.some(line => pattern.test(line)))

t.test('starts no server while another one with other keys runs, and says what to do', async t => {
  const { start, ask } = createDatabase(t)
  const files = await createFiles(t)
  const first = await start(await load(files.first), files.first)
  const same = files.copy()
  await t.resolves(start(await load(same), same), 'control: a copy of the file')
  const other = await files.other()
  const [ours, theirs] = [(await load(other)).all[0]?.kid, first.ring.all[0]?.kid]
  const message = new RegExp(
    `^the signing keys differ from those of another server on this database \\(.+, process ${process.pid}\\): ` +
      `key ${theirs} of that server is missing here, key ${ours} of this server is missing there; each refuses tokens of the other; ` +
      `copy the other server's file of signing keys to ${other}, or create one for all servers with tlsbound keys create FILE`,
  )
  await t.rejects(start(await load(other), other), { message })
  await t.rejects(start(await load(other)), { message: /; pass the same keys to each server$/ }, 'keys in memory')
  t.same(await ask('SELECT count(*)::int FROM servers'), [{ count: 2 }], 'a server that is refused is not recorded')
  await t.resolves(start(await load(files.first)), 'control: the same keys in memory')
})

t.test('refuses a key of the same id and another content', async t => {
  const { start } = createDatabase(t)
  const files = await createFiles(t)
  const first = await start(await load(files.first), files.first)
  const kid = first.ring.all[0]?.kid as string
  const other = await files.other()
  writeFileSync(other, JSON.stringify({ keys: [{ ...(await generateTokenKey('ES256')), kid }] }))
  await t.rejects(start(await load(other), other), { message: new RegExp(`: key ${kid} has another content there; `) })
})

t.test('accepts a rotation server by server, and reports a server that lacks the new key', async t => {
  const { start } = createDatabase(t)
  const files = await createFiles(t)
  const [here, there] = [files.copy(), files.copy()]
  const one = await start(await load(here), here)
  const other = await start(await load(there), there)
  const { kid, nbf } = await rotateKeysFile(here, 'ES256', now())
  one.ring.replace(await importKeysFile(here), now())
  await hasLine(
    one,
    new RegExp(`^warn .* will be used from .*: key ${kid} of this server is missing there; copy the file`),
  )
  await hasLine(other, new RegExp(`^warn .*: key ${kid} of that server is missing here; copy the file`))
  const restarted = files.copy()
  cpSync(here, restarted)
  const withKey = await start(await load(restarted), restarted)
  const without = await start(await load(files.first), files.first)
  t.ok(nbf > now(), 'control: servers with and without the new key start, before it signs')
  for (const { servers } of [withKey, without]) await servers.leave()
  cpSync(here, there)
  other.ring.replace(await importKeysFile(there), now())
  for (const server of [one, other]) await hasLine(server, /^info the signing keys are those of the other servers/)
})

t.test('logs keys that differ after a reload, and goes on', async t => {
  const { start } = createDatabase(t)
  const files = await createFiles(t)
  const [here, there] = [files.copy(), files.copy()]
  const one = await start(await load(here), here)
  const other = await start(await load(there), there)
  const stolen = one.ring.all[0]?.kid
  const next = { ...(await generateTokenKey('ES256')), nbf: now() }
  writeFileSync(here, JSON.stringify({ keys: [next] }))
  one.ring.replace(await importKeysFile(here), now())
  await hasLine(
    one,
    new RegExp(`^error .*: key ${stolen} of that server is missing here, key ${next.kid} of this server is`),
  )
  await hasLine(other, new RegExp(`^error .*: key ${next.kid} of that server is missing here, key ${stolen} of this`))
  cpSync(here, there)
  other.ring.replace(await importKeysFile(there), now())
  await hasLine(one, /^info the signing keys are those of the other servers on this database again$/)
  t.equal(one.lines.filter(line => line.startsWith('error')).length, 1, 'each difference is logged once')
})

t.test('starts with other keys once a server that was killed has not recorded itself for 15 seconds', async t => {
  const { start, ask, open } = createDatabase(t)
  const files = await createFiles(t)
  const killed = await start(await load(files.first), files.first)
  const [record] = await ask('SELECT * FROM servers')
  await killed.servers.leave()
  const { id, description, seen } = record as { id: string; description: string; seen: number }
  const other = await files.other()
  const ring = await load(other)
  await ask(
    `INSERT INTO servers VALUES ('${id}', '${description}', (extract(epoch FROM clock_timestamp()) * 1000)::bigint)`,
  )
  const begin = performance.now()
  const started = await start(ring, other)
  t.match(started.lines, [/^warn the signing keys differ .*: waiting up to 15 seconds to see whether it still runs$/])
  t.comment(`started after ${Math.round(performance.now() - begin)} ms`)
  await started.servers.leave()

  await ask(`INSERT INTO servers VALUES ('old', '${description}', ${seen - 4_000_000})`)
  await start(await load(other), other)
  t.same(await ask("SELECT count(*)::int FROM servers WHERE id = 'old'"), [{ count: 0 }], 'old records are removed')
  t.equal((await open().recordServer?.({ id: 'x', description: '{}' }))?.others.length, 1)
})

t.test('ignores records that it cannot parse', async t => {
  const { start, open } = createDatabase(t)
  const store = open()
  for (const [index, description] of [
    '',
    '{',
    'null',
    '{"keys":[null]}',
    '{"name":"x","keys":[{}],"ahead":0}',
  ].entries())
    await store.recordServer?.({ id: `s${index}`, description })
  const files = await createFiles(t)
  await t.resolves(start(await load(files.first), files.first))
})

t.test('admits one of ten servers with ten keys that start at once, and all ten that share a file', async t => {
  const files = await createFiles(t)
  const shared = createDatabase(t)
  await t.resolves(
    Promise.all(Array.from({ length: 10 }, async () => shared.start(await load(files.first), files.first))),
  )
  const { start, ask } = createDatabase(t)
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, async () => {
      const file = await files.other()
      return start(await load(file), file)
    }),
  )
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results)
    if (result.status === 'rejected') t.match(result.reason.message, /^the signing keys differ/)
  t.same(await ask('SELECT count(*)::int FROM servers'), [{ count: 1 }])
})

t.test('knows whether all servers read one file', async t => {
  const { start } = createDatabase(t)
  const files = await createFiles(t)
  const one = await start(await load(files.first), files.first)
  t.equal(one.servers.shareKeysFile(), true, 'alone')
  const same = await start(await load(files.first), files.first)
  t.equal(same.servers.shareKeysFile(), true, 'one file')
  const copy = files.copy()
  const other = await start(await load(copy), copy)
  t.equal(other.servers.shareKeysFile(), false, 'a copy')
  await until(() => !one.servers.shareKeysFile())
  await other.servers.leave()
  await until(() => one.servers.shareKeysFile())
  const inMemory = await start(await load(files.first))
  t.equal(inMemory.servers.shareKeysFile(), false, 'in memory')
})

t.test('reports a clock that makes another server refuse new tokens', async t => {
  const { start, open } = createDatabase(t)
  const files = await createFiles(t)
  const one = await start(await load(files.first), files.first)
  const description = { name: 'elsewhere, process 1', keys: [], ahead: -30_000 }
  const store = open()
  const record = () => store.recordServer?.({ id: 'x', description: JSON.stringify(description) }).catch(() => {})
  await record()
  const timer = setInterval(record, 1000) // on a slow machine too
  t.teardown(() => clearInterval(timer))
  await hasLine(
    one,
    /^error this clock is (29|30|31) s ahead of that of another server .*\(elsewhere, process 1\): that server refuses new tokens of this one; synchronize/,
  )
})

t.test('works through a pooler in transaction mode, and asks a store that is a class', async t => {
  const pooler = await startPgBouncer(t, postgres, 'transaction')
  const { start, ask, url } = createDatabase(t)
  const role = (settings: string) => ask(`ALTER ROLE tester ${settings}`)
  t.teardown(() => role('RESET ALL'))
  await role(`SET search_path = ${new URL(url).searchParams.get('options')?.split('=')[1]}`)
  await role('SET statement_timeout = 2000')
  await role('SET idle_in_transaction_session_timeout = 2000')
  const files = await createFiles(t)
  const one = await start(await load(files.first), files.first, pooler.through(url))
  const other = await files.other()
  await t.rejects(start(await load(other), other), { message: /^the signing keys differ/ })
  await t.rejects(start(await load(other), other, pooler.through(url)), { message: /^the signing keys differ/ })
  await t.resolves(start(await load(files.first), files.first, pooler.through(url)), 'control')
  t.same(one.lines, [])
  class Wrapped {
    readonly store = openPostgres(url)
    recordServer(...given: Parameters<NonNullable<Store['recordServer']>>) {
      return this.store.recordServer?.(...given)
    }
  }
  const wrapped = new Wrapped()
  t.teardown(() => wrapped.store.close())
  const log = { info() {}, warn() {}, error() {} } as never
  const joining = joinServers(wrapped as unknown as Store, { keys: await load(other), keysFile: other, log })
  await t.rejects(joining, { message: /^the signing keys differ/ })
})

t.test('does not wait for a record from before the clock of the database was set back', async t => {
  const { start, ask } = createDatabase(t)
  const files = await createFiles(t)
  const before = await start(await load(files.first), files.first)
  await before.servers.leave()
  const keys = JSON.stringify(before.ring.all.map(describeKey))
  const seen = Date.now() + 3_600_000
  await ask(`INSERT INTO servers VALUES ('x', '{"name":"x","keys":${keys},"ahead":0}', ${seen})`)
  const other = await files.other()
  t.match((await start(await load(other), other)).lines, [])
})

t.test('does not compare where only one server can use the store', async t => {
  const store = openSqlite(':memory:')
  t.teardown(() => store.close())
  const files = await createFiles(t)
  const log = { info() {}, warn() {}, error() {} }
  const servers = await joinServers(store, { keys: await load(files.first), keysFile: files.first, log: log as never })
  t.equal(servers.shareKeysFile(), true)
  await servers.leave()
})
