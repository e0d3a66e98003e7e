// tlsbound backup and restore as processes, against a running server and its SQLite state.
// RE02.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { registrationOf } from '../helpers/server/ops.ts'

t.setTimeout(240_000) // each call is a process
const folder = t.testdir({ 'mallory.json': JSON.stringify(registrationOf('mallory')) })
const opsPort = String(await findFreePort())
const env = {
  TLSBOUND_PORT: String(await findFreePort()), // the issuer stays the same
  TLSBOUND_OPS_PORT: opsPort,
  TLSBOUND_OPS_URL: `http://127.0.0.1:${opsPort}`,
}
const start = () => startTlsbound(t, folder, env)
const run = (...args: string[]) => runTlsbound(args, folder, { TLSBOUND_OPS_URL: env.TLSBOUND_OPS_URL })
const at = (name: string) => join(folder, name)
const refusal = (says: RegExp) => ({ code: 1, stdout: '', stderr: says })
const state = 'data/tlsbound.db'

t.test('saves the state of a running server, which goes on, and restores it after a stop', async t => {
  const server = await start()
  const bob = await server.connect('bob')
  t.match(await run('clients', 'add', 'mallory.json'), { code: 0 })
  const issuing = Array.from({ length: 20 }, async () => (await bob.requestToken()).status)
  const saved = await run('backup', 'saved.db')
  t.match(saved, { code: 0, stdout: 'saved: saved.db: 1 stored clients (0 disabled), 0 grants, 0 revocations\n' })
  t.same(new Set(await Promise.all(issuing)), new Set([200]), 'requests were answered meanwhile')
  t.equal(statSync(at('saved.db')).mode & 0o777, 0o600)
  t.same(
    readdirSync(at('data')).filter(name => name.includes('backup')),
    [],
    'nothing else remains',
  )
  t.match(await run('backup', 'saved.db'), refusal(/^tlsbound: saved\.db exists, and a backup replaces nothing/))
  const many = await Promise.all(['a.db', 'b.db', 'c.db'].map(name => run('backup', name)))
  for (const { code, stderr } of many) t.ok(code === 0 || /a backup is under way/.test(stderr), stderr)
  t.match(await run('backup', 'again.db'), { code: 0 }, 'after those that were refused')

  const token = await bob.token({ token_binding: 'certificate' })
  t.match(await bob.get('/api/whoami', token), { status: 200 }, 'control')
  t.match(await run('clients', 'disable', 'mallory'), { code: 0 })
  t.match(
    await run('restore', 'saved.db', '--force'),
    refusal(/^tlsbound: data\/tlsbound\.db is in use; stop the server/),
  )
  await server.end('SIGTERM')

  t.match(await run('restore', 'saved.db'), refusal(/^tlsbound: data\/tlsbound\.db exists; --force replaces it/))
  const restored = await run('restore', 'saved.db', '--force', '--json')
  t.match(restored, { code: 0 })
  const { kept } = JSON.parse(restored.stdout)
  t.ok(existsSync(at(kept)), 'the replaced state is kept')
  t.equal(statSync(at(state)).mode & 0o777, 0o600)
  const second = await start()
  t.match(second.stderr(), /lacks its last changes: .*all tokens issued before now are revoked/)
  t.match(await (await second.connect('mallory')).requestToken(), { status: 200 }, 'the older state')
  const again = await second.connect('bob')
  t.match(await again.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
  t.match(await again.get('/api/whoami', await again.token()), { status: 200 })
  await second.end('SIGTERM')
})

t.test('checks a backup, and refuses to restore one that is unusable', async t => {
  t.match(await run('restore', '--check', 'saved.db'), {
    code: 0,
    stdout: /^valid: saved\.db: 1 stored clients/,
    stderr: '',
  })
  const change = (name: string, sql: string) => {
    copyFileSync(at('saved.db'), at(name))
    const database = new DatabaseSync(at(name))
    database.exec(sql)
    database.close()
  }
  writeFileSync(at('text.db'), 'no database\n'.repeat(1000))
  writeFileSync(at('empty.db'), '')
  copyFileSync(at('saved.db'), at('cut.db'))
  truncateSync(at('cut.db'), 8192)
  const octets = readFileSync(at('saved.db'))
  octets.fill(0x5a, 4096 * 3, 4096 * 3 + 2000)
  writeFileSync(at('changed.db'), octets)
  change('newer.db', 'PRAGMA user_version = 99')
  change('other.db', 'PRAGMA application_id = 1')
  change('trigger.db', 'CREATE TRIGGER x AFTER INSERT ON clients BEGIN DELETE FROM revocations; END')
  const before = readFileSync(at(state))
  for (const [file, says] of [
    ['none.db', /^tlsbound: none\.db cannot be opened\n$/],
    ['data', /^tlsbound: data cannot be used: disk I\/O error\n$/],
    ['text.db', /^tlsbound: text\.db is not an SQLite database\n$/],
    ['empty.db', /^tlsbound: empty\.db is not a backup of tlsbound\n$/],
    ['cut.db', /^tlsbound: cut\.db is damaged\n$/],
    ['changed.db', /^tlsbound: changed\.db is damaged\n$/],
    ['newer.db', /^tlsbound: newer\.db was written by a newer version of tlsbound \(schema 99, here \d+\)\n$/],
    ['other.db', /^tlsbound: other\.db is not a backup of tlsbound\n$/],
    ['trigger.db', /^tlsbound: trigger\.db contains triggers or views\n$/],
  ] as const)
    t.match(await run('restore', '--force', file), refusal(says), file)
  const elsewhere = await run('restore', 'saved.db', '--state', 'postgres://tlsbound:secret@localhost/tlsbound')
  t.match(elsewhere, refusal(/^tlsbound: the state is in PostgreSQL; restore it with pg_restore /))
  t.notMatch(elsewhere.stderr, 'secret')
  t.match(await run('restore'), { code: 2 })
  t.same(readFileSync(at(state)), before, 'nothing was changed')
  writeFileSync(at(`${state}.restoring`), '')
  t.match(
    await run('restore', '--force', 'saved.db'),
    refusal(/^tlsbound: data\/tlsbound\.db\.restoring: .*\(EEXIST\)\n$/),
  )
  t.match(await run('restore', 'saved.db', '--state', 'sqlite:new/state.db'), refusal(/new\/.*\(ENOENT\)\n$/))
  chmodSync(at('saved.db'), 0o644)
  t.match(await run('restore', 'saved.db', '--state', 'sqlite:moved.db'), { code: 0 }, 'control')
  t.equal(statSync(at('moved.db')).mode & 0o777, 0o600)
})
