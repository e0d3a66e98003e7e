// The embedded store: the contract, and everything about its file: crashes, disks, other processes, old and foreign files.
// I8, RE01, RE04, RE07, RE17, RE21.
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { afterlife } from '../../src/core/revocations.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { listen, unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'
import { createTime, storeContract, type Time } from '../../src/testing/store-contract/store-contract.ts'
import { mountDisk } from './disk.ts'
import { asBefore, checkMigrated, fillBefore } from './earlier-refresh-tokens.ts'

t.setTimeout(120_000)

async function open(t: Test): Promise<[Store, Store, Time]> {
  const store = openSqlite(join(t.testdir(), 'state.db'))
  t.teardown(() => store.close())
  return [store, store, createTime()] // one process, one file, one store
}

for (const { title, run } of storeContract(open)) t.test(title, run)

t.test('sends a new follower all changes in order, however many, and then the new ones', async t => {
  const store = openSqlite(':memory:')
  t.teardown(() => store.close())
  const revoke = (value: number) => store.revoke({ kind: 'token', value: `t${value}`, notBefore: 1, expires: 2000 })
  for (const count of [5000, 5001, 10_000]) {
    const { heard, stop } = await listen(store)
    const missing = Array.from({ length: count - heard.length }, (_, index) => heard.length + index)
    await Promise.all(missing.map(revoke))
    stop()
    const late = await listen(store)
    late.stop()
    t.equal(late.heard.length, count)
    t.ok(late.heard.every(({ sequence }, index) => sequence === heard[index]?.sequence))
  }
})

t.test('has everything acknowledged after kill -9, and remembers used tokens (RE01)', async t => {
  const path = join(t.testdir(), 'state.db')
  const file = new URL('load.ts', import.meta.url).pathname
  for (let round = 0; round < 10; round++) {
    const enough = 1 + Math.floor(Math.random() * 2000)
    const child = spawn(process.execPath, ['--conditions=tlsbound-source', file, path, `round${round}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let journal = ''
    child.stdout.on('data', chunk => {
      journal += chunk
      if (journal.length > enough * 20) child.kill('SIGKILL')
    })
    const signal = await new Promise(ended => child.once('close', (_code, by) => ended(by)))
    const acknowledged = journal.split('\n').slice(1, -1)
    t.equal(signal, 'SIGKILL')
    t.ok(acknowledged.length > 0)

    const store = openSqlite(path)
    const lost: string[] = []
    const seen = new Map<string, Set<string>>()
    for (const line of acknowledged) {
      const [event, id] = line.split(' ') as [string, string]
      seen.set(id, (seen.get(id) ?? new Set()).add(event))
    }
    for (const [id, events] of seen) {
      const first = await store.findRefreshToken(`${id}-0`)
      const second = await store.findRefreshToken(`${id}-1`)
      const revoked = first?.state === 'revoked' && second?.state === 'revoked'
      if (first === undefined) lost.push(`${id} created`)
      if (events.has('rotated') && !revoked && (first?.state !== 'used' || second?.state !== 'unused'))
        lost.push(`${id} rotated`)
      if (events.has('revoked') && !revoked) lost.push(`${id} revoked`)
    }
    t.same(lost, [], `${acknowledged.length} changes acknowledged`)
    await store.addNote('alice', 'it goes on', 1)
    await store.close()
  }
})

/** Counts the transactions in a write-ahead log: the frames with the size of the database (sqlite.org/fileformat2). */
function countCommits(path: string): number {
  const log = readFileSync(`${path}-wal`)
  const frame = 24 + log.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at + frame <= log.length; at += frame) if (log.readUInt32BE(at + 4) !== 0) commits++
  return commits
}

t.test('shares the wait for the disk among parallel calls', async t => {
  const path = join(t.testdir(), 'state.db')
  const store = openSqlite(path)
  const ask = async (caller: string) => {
    for (let count = 0; count < 5; count++) await store.createGrant(grant(`${caller}-${count}`), `${caller}-${count}`)
  }
  const opened = countCommits(path)
  await ask('alone')
  const alone = countCommits(path) - opened
  await Promise.all(Array.from({ length: 16 }, (_, caller) => ask(String(caller))))
  t.same(
    [alone, countCommits(path) - opened - alone],
    [5, 5],
    'five grants of one caller, then five of each of sixteen',
  )
  await store.close()
})

t.test('refuses a second process while the first uses the file, and accepts it afterwards (RE17)', async t => {
  const path = join(t.testdir(), 'state.db')
  const module = new URL('../../src/store/sqlite.ts', import.meta.url).href
  const script = `
    const { openSqlite } = await import(${JSON.stringify(module)})
    try { await openSqlite(process.argv[1]).close() } catch (error) { console.log(error.message) }`
  const open = () =>
    spawnSync(process.execPath, ['--conditions=tlsbound-source', '--input-type=module', '-e', script, path], {
      encoding: 'utf8',
    }).stdout
  const store = openSqlite(path)
  await store.addNote('alice', 'x', 1)
  t.match(
    open(),
    `the state file ${path} is in use by another process: stop that process, or set TLSBOUND_STATE_URL to another file`,
  )
  t.throws(() => openSqlite(path), { message: /in use by another process/ }, 'nor twice in one process')
  t.match(await store.addNote('alice', 'y', 1), { id: 2 }, 'the first is not affected')
  t.match(open(), 'is in use', 'and still holds the lock')
  await store.close()
  t.equal(open(), '')
})

t.test('rejects an unusable path with one sentence when opening it (RE21)', async t => {
  const folder = t.testdir({ garbage: 'no database '.repeat(100), folder: {}, 'cut.db': '' })
  const open = (path: string) => () => openSqlite(join(folder, path))
  await openSqlite(join(folder, 'good.db')).close()
  t.equal(statSync(join(folder, 'good.db')).mode & 0o777, 0o600, 'for its owner alone')

  const foreign = new DatabaseSync(join(folder, 'foreign.db'))
  foreign.exec('CREATE TABLE cookies (name TEXT)')
  foreign.close()
  await openSqlite(join(folder, 'newer.db')).close()
  const newer = new DatabaseSync(join(folder, 'newer.db'))
  newer.exec('PRAGMA user_version = 1000')
  newer.close()
  for (const [path, message] of [
    ['missing/state.db', /its folder does not exist$/],
    ['garbage/state.db', /its folder is a file$/],
    ['folder', /is a folder$/],
    ['garbage', /is not an SQLite database: restore a backup of it, or move it away/],
    ['foreign.db', /is the database of another program$/],
    ['newer.db', /was written by a newer version of this program \(schema 1000, here \d+\)$/],
  ] as const)
    t.throws(open(path), { message }, path)
  await openSqlite(join(folder, 'good.db')).close()
})

t.test('rejects a file that cannot be written when opening it (RE21)', async t => {
  const disk = mountDisk(2048)
  const folder = disk?.folder ?? t.testdir()
  t.teardown(() => disk?.unmount())
  const path = join(folder, 'state.db')
  await openSqlite(path).close()
  if (disk) disk.remount('ro')
  else chmodSync(path, 0o400)
  t.throws(() => openSqlite(path), { message: /^the state file \S+ cannot be (read and )?written, / })
  if (disk) t.throws(() => openSqlite(join(folder, 'new.db')), { message: /read-only$/ })
  if (disk) disk.remount('rw')
  else chmodSync(path, 0o600)
  await openSqlite(path).close()
})

/**
 * Fills a store until it refuses. `makeRoom` returns the number of records that it removed. Nothing may be stored
 * partially.
 */
async function overflow(t: Test, store: Store, makeRoom: () => Promise<number>): Promise<void> {
  await store.createGrant(grant('first'), 'first')
  const kept: string[] = []
  let refusals = 0
  for (let count = 0; count < 1000 && refusals < 3; count++) {
    const ids = Array.from({ length: 10 }, (_, index) => `${count}-${index}`)
    const grants = ids.map(id => store.createGrant(grant(id, { expires: 3000, actor: 'x'.repeat(2000) }), id))
    for (const [index, result] of (await Promise.allSettled(grants)).entries())
      if (result.status === 'fulfilled') kept.push(ids[index] as string)
      else {
        refusals++
        t.match(result.reason, { ...unavailable, cause: { code: 'ERR_SQLITE_ERROR' } })
      }
  }
  t.ok(refusals >= 3, `full after ${kept.length} grants`)
  t.match(await store.findRefreshToken('first'), { state: 'unused' }, 'it still reads')
  for (const id of kept) if ((await store.findRefreshToken(id)) === undefined) t.fail(`${id} was lost`)

  let removed = await makeRoom()
  t.match(
    await store.rotateRefreshToken('first', successor('second'), 2_000_000),
    { outcome: 'rotated' },
    'it recovers by itself',
  )
  t.match(await store.rotateRefreshToken('second', successor('third'), 2_001_000), { outcome: 'rotated' })
  for (let step = 1; step > 0; removed += step) step = await store.removeExpired(3001 + afterlife, 100)
  t.equal(removed, kept.length * 2, 'nothing of the refused calls was stored')
}

t.test('refuses what does not fit on a full disk, loses nothing, and recovers when there is room (RE07)', async t => {
  await t.test('the file has its maximum size', async t => {
    const store = openSqlite(join(t.testdir(), 'state.db'), { maximumPages: 100 })
    t.teardown(() => store.close())
    await overflow(t, store, () => store.removeExpired(3001 + afterlife, 50))
  })
  const disk = mountDisk(8192)
  if (disk === undefined) return
  t.teardown(() => disk.unmount())
  await t.test('the disk is full', async t => {
    const ballast = join(disk.folder, 'ballast')
    writeFileSync(ballast, Buffer.alloc(4_000_000))
    const store = openSqlite(join(disk.folder, 'state.db'))
    await overflow(t, store, async () => {
      rmSync(ballast)
      return 0
    })
    await store.close()
  })
})

t.test('migrates a file of an earlier version', async t => {
  const folder = join(t.testdir(), 'deep')
  mkdirSync(folder)
  writeFileSync(join(folder, 'empty.db'), '')
  const old = new DatabaseSync(join(folder, 'old.db'))
  old.exec(`
    CREATE TABLE notes (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, text TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
    INSERT INTO notes (client_id, text, created) VALUES ('alice', 'it''s "old"', 1)`)
  old.close()
  for (const [name, texts] of [
    ['empty.db', ['x']],
    ['new.db', ['x']],
    ['new.db', ['x', 'x']],
    ['old.db', ['x', `it's "old"`]],
    ['old.db', ['x', 'x', `it's "old"`]],
  ] as const) {
    const store = openSqlite(join(folder, name))
    await store.addNote('alice', 'x', 1)
    t.same(
      (await store.listNotes('alice', 10)).map(({ text }) => text),
      texts,
      name,
    )
    await store.close()
  }
})

t.test('migrates refresh tokens of the version before sealed successors', async t => {
  const path = join(t.testdir(), 'state.db')
  const before = openSqlite(path)
  await fillBefore(before)
  await before.close()
  const old = new DatabaseSync(path)
  for (const sql of asBefore) old.exec(sql.replace('bigint', 'INTEGER'))
  old.exec('PRAGMA user_version = 4')
  old.close()
  const store = openSqlite(path)
  t.teardown(() => store.close())
  await checkMigrated(t, store)
})

t.test('reports no delay of its knowledge of revocations, because it is the only server', async t => {
  const store = openSqlite(':memory:')
  t.equal(store.millisecondsSinceSync(), 0)
  await store.close()
})
