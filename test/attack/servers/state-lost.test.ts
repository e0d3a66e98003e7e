// State that was removed, emptied, cut, restored or changed while the server did not run: the server does not start, or it
// revokes all earlier tokens, with a warning and an event. A start on the unchanged state changes nothing.
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { readStateRecord } from '../../../src/process/state-record.ts'
import type { StateIdentity } from '../../../src/store/store.ts'
import { runTlsbound, startTlsbound } from '../../helpers/process/process.ts'
import { claimsOf, revoke } from '../../helpers/tokens/grants.ts'

t.setTimeout(240_000)
const wish = { token_binding: 'certificate' }
const env = { TLSBOUND_ISSUER: 'https://localhost:8443' } // on any free port
const old = { status: 401, body: { reason: 'revoked' } }

/** A server that has revoked one token and not another, and was stopped; then `damage` changes its state. */
async function run(t: Test, signal: 'SIGTERM' | 'SIGKILL', damage: (database: string, jti: string) => void) {
  const folder = t.testdir()
  const database = join(folder, 'data/tlsbound.db')
  const server = await startTlsbound(t, folder, env)
  const alice = await server.connect('alice')
  const [revoked, good] = [await alice.token(wish), await alice.token(wish)]
  t.match(await revoke(alice, revoked), { status: 200 })
  alice.close()
  await server.end(signal)
  damage(database, claimsOf(revoked).jti)
  return { folder, database, revoked, good }
}

function flip(path: string, find: (content: Buffer) => number): void {
  const content = readFileSync(path)
  const at = find(content)
  content[at] = (content[at] as number) ^ 1
  writeFileSync(path, content)
}

const lost = /"level":40,[^\n]*so all tokens issued before now are revoked/
const isLost = /"event":"token.revoked",[^\n]*"kind":"all",[^\n]*"cause":"state"/

for (const [name, signal, damage] of [
  ['was removed', 'SIGTERM', path => rmSync(path)],
  ['was emptied', 'SIGTERM', path => truncateSync(path, 0)],
  ['lost its log', 'SIGKILL', path => rmSync(`${path}-wal`)],
  ['has a log that was cut', 'SIGKILL', path => truncateSync(`${path}-wal`, statSync(`${path}-wal`).size - 100)],
  ['has a log with a flipped octet', 'SIGKILL', (path, jti) => flip(`${path}-wal`, log => log.indexOf(jti) + 3)],
  [
    'was changed by hand',
    'SIGTERM',
    path => {
      const database = new DatabaseSync(path)
      database.exec('DELETE FROM revocations')
      database.close()
    },
  ],
] as [string, 'SIGTERM' | 'SIGKILL', (path: string, jti: string) => void][])
  t.test(`revokes all earlier tokens when the state ${name}`, async t => {
    const { folder, revoked, good } = await run(t, signal, damage)
    const server = await startTlsbound(t, folder, env)
    t.match(server.stderr(), lost)
    t.match(server.stdout(), isLost)
    const alice = await server.connect('alice')
    for (const token of [revoked, good]) t.match(await alice.get('/api/whoami', token), old)
    t.match(await alice.get('/api/whoami', await alice.token(wish)), { status: 200 }, 'tokens issued afterwards')
    await server.end('SIGTERM')
    const again = await startTlsbound(t, folder, env)
    t.notMatch(again.stderr(), lost, 'once')
  })

for (const [name, find] of [
  ['in a revocation', (content, jti) => content.lastIndexOf(jti) + 3],
  ['in the type of a page', () => 4096],
  ['in the header', () => 3],
] as [string, (content: Buffer, jti: string) => number][])
  t.test(`does not start when an octet was flipped ${name}, and names the remedy`, async t => {
    const { folder } = await run(t, 'SIGTERM', (path, jti) => flip(path, content => find(content, jti)))
    const { code, stderr } = await runTlsbound(['serve'], folder)
    t.equal(code, 1)
    t.match(
      stderr,
      /the state file data\/tlsbound\.db is (damaged|not an SQLite database): restore a backup of it, or move it away/,
    )
  })

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  t.test(`changes nothing after ${signal} on an unchanged state`, async t => {
    const { folder, database, revoked, good } = await run(t, signal, () => {})
    if (signal === 'SIGTERM') {
      const reader = new DatabaseSync(database, { readOnly: true }) // as a backup does
      reader.prepare('SELECT count(*) FROM revocations').get()
      reader.close()
    }
    const server = await startTlsbound(t, folder, env)
    t.notMatch(server.stderr(), lost)
    t.notMatch(server.stdout(), isLost)
    const alice = await server.connect('alice')
    t.match(await alice.get('/api/whoami', revoked), old)
    t.match(await alice.get('/api/whoami', good), { status: 200 })
  })

t.test('compares a state with the mark recorded for it, by its name and by its id', async t => {
  const folder = t.testdir({ 'keys.json': '{}', 'one.db': 'content', 'two.db': 'content' })
  const keys = join(folder, 'keys.json')
  const open = (name: string) => readStateRecord(keys, `sqlite:${join(folder, name)}`)
  const state = (id: string, position: number, isNew = false): StateIdentity => ({ id: id.repeat(32), position, isNew })
  t.equal(open('one.db').findLoss(state('a', 5, true), true), undefined, 'the first start ever')
  t.match(open('one.db').findLoss(state('a', 5, true), false), /is new, and the signing keys are not/)
  t.equal(open('one.db').findLoss(state('a', 5), false), undefined, 'a state of a version that recorded no mark')

  const first = open('one.db')
  first.begin(state('a', 5))
  first.note(9)
  first.note(7)
  t.equal(open('one.db').findLoss(state('a', 9), false), undefined)
  t.equal(open('one.db').findLoss(state('a', 12), false), undefined, 'the state is newer than the mark')
  t.match(open('one.db').findLoss(state('a', 8), false), /lacks its last changes/)
  t.match(open('one.db').findLoss(state('b', 99), false), /is not the one that the signing keys were used with last/)
  t.equal(open('two.db').findLoss(state('a', 9), false), undefined, 'the same state, moved')
  t.match(open('two.db').findLoss(state('a', 8), false), /is not one that/, 'an older one elsewhere')
  t.match(open('two.db').findLoss(state('b', 99), false), /is not one that the signing keys were used with last/)

  first.seal()
  t.ok(open('one.db').isIntact)
  t.equal(open('one.db').findLoss(state('a', 9), false), undefined)
  writeFileSync(join(folder, 'one.db'), 'Content')
  t.notOk(open('one.db').isIntact)
  t.match(open('one.db').findLoss(state('a', 9), false), /was changed while no server ran on it/)
  copyFileSync(join(folder, 'two.db'), join(folder, 'one.db'))
  writeFileSync(join(folder, 'one.db-wal'), 'x')
  t.notOk(open('one.db').isIntact, 'with a log of another state')

  const url = (password: string) => `postgres://tlsbound:${password}@db.example/state`
  readStateRecord(keys, url('one')).begin(state('c', 3))
  t.equal(readStateRecord(keys, url('two')).findLoss(state('c', 3), false), undefined, 'another password')
  t.match(readStateRecord(keys, url('two')).findLoss(state('c', 2), false), /in PostgreSQL lacks its last changes/)
})
