// A large SQLite file, which a thread loads: it is locked and checked as one that the process loads itself.
import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { Revocations } from '../../src/core/revocations.ts'
import { openLoaded, openSqlite } from '../../src/store/sqlite.ts'
import { lockedUrl, openDatabase, openUnchecked } from '../../src/store/sqlite-file.ts'
import { loadRevocations } from '../../src/store/sqlite-load.ts'
import { beginLoading, type Loading } from '../../src/store/sqlite-loading.ts'
import type { Change, Store } from '../../src/store/store.ts'
import { unavailable } from '../../src/testing/store-contract/contract.ts'

t.setTimeout(120_000)
const expires = 2_000_000_000
const kinds = ['token', 'grant', 'client', 'certificate'] as const

/** Writes a file with revocations of each kind and clients; `more` adds to it. */
async function make(t: Test, count: number, more?: (store: Store) => Promise<unknown>): Promise<string> {
  const path = join(t.testdir(), 'state.db')
  const store = openSqlite(path)
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      store.revoke({
        ...{ kind: kinds[index % kinds.length] as 'token', value: `value-${(index * 7919) % count}` },
        ...{ notBefore: index % 3, expires: expires + (index % 5) },
      }),
    ),
  )
  await store.putClient('c', '{}')
  await more?.(store)
  await store.close()
  return path
}

function load(path: string, isIntact = false): Loading {
  const loading = beginLoading(path, isIntact, 0)
  if (loading === undefined) throw new Error('not loaded in a thread')
  return loading
}

/** Follows a store, and returns the revocations, and how many of them came one by one. */
async function follow(store: Store) {
  const revocations = new Revocations()
  const changes: Change[] = []
  await store.follow(
    change => {
      changes.push(change)
      if (change.kind === 'revocation') revocations.add(change.revocation, change.sequence)
    },
    0,
    columns => revocations.addPacked(columns),
  )
  const has = (kind: string, value: string) =>
    revocations.includes({
      ...{ jti: kind === 'token' ? value : '', grant: kind === 'grant' ? value : '', iat: 0 },
      ...{ client_id: kind === 'client' ? value : '', cnf: { 'x5t#S256': kind === 'certificate' ? value : '' } },
    })
  return { has, changes }
}

for (const isIntact of [true, false])
  t.test(`loads ${isIntact ? 'an intact file' : 'and checks a file'}, and follows it`, async t => {
    const path = await make(t, 12_000)
    const loading = load(path, isIntact)
    t.throws(() => openSqlite(path), /is in use by another process/, 'while it is loaded')
    const store = await openLoaded(path, loading)
    t.teardown(() => store.close())
    t.throws(() => openSqlite(path), /is in use by another process/, 'afterwards')
    await store.revoke({ kind: 'token', value: 'between', notBefore: 0, expires })
    const { has, changes } = await follow(store)
    t.equal(changes.length, 6000 + 2)
    t.ok(changes.every(({ sequence }, index) => index === 0 || sequence > (changes[index - 1] as Change).sequence))
    t.equal(changes.filter(({ kind }) => kind === 'client').length, 1)
    await store.revoke({ kind: 'grant', value: 'later', notBefore: 0, expires })
    for (const [kind, value] of [
      ['token', 'value-0'],
      ['grant', 'value-7919'],
      ['token', 'between'],
      ['grant', 'later'],
    ] as const)
      t.ok(has(kind, value), `${kind} ${value}`)
    t.notOk(has('grant', 'value-0'))
    const late = await follow(store)
    t.equal(late.changes.length, 12_003, 'a second follower receives each change')
    await store.close()
    t.doesNotThrow(() => openDatabase(path).close())
  })

t.test('reads values that cannot be packed one by one', async t => {
  const path = await make(t, 10, store => store.revoke({ kind: 'token', value: 'ä', notBefore: 0, expires }))
  const loading = load(path)
  const store = await openLoaded(path, loading)
  const { has, changes } = await follow(store)
  t.equal(changes.length, 12)
  t.ok(has('token', 'ä'))
  await store.close()
})

t.test('loads what the log of a crashed process has', async t => {
  const path = await make(t, 10)
  const before = openSqlite(path)
  await before.revoke({ kind: 'token', value: 'in the log', notBefore: 0, expires })
  const copy = `${path}.copy`
  for (const end of ['', '-wal']) copyFileSync(path + end, copy + end)
  await before.close()
  const loading = load(copy)
  const store = await openLoaded(copy, loading)
  t.ok((await follow(store)).has('token', 'in the log'))
  await store.close()
})

t.test('leaves small, new, old and absent files to the process', async t => {
  const path = await make(t, 10)
  t.equal(beginLoading(path, false), undefined, 'small')
  t.equal(beginLoading(`${path}.absent`, false, 0), undefined)
  t.equal(beginLoading(':memory:', false, 0), undefined)
  const database = new DatabaseSync(path)
  database.exec('PRAGMA user_version = 1')
  database.close()
  t.equal(beginLoading(path, false, 0), undefined, 'an earlier schema')
})

t.test('closes the file when the start fails meanwhile', async t => {
  const path = await make(t, 1000)
  await load(path).cancel()
  await openSqlite(path).close()
  const loading = load(path)
  const store = await openLoaded(path, loading)
  await loading.cancel()
  await t.rejects(store.revoke({ kind: 'token', value: 'a', notBefore: 0, expires }), unavailable)
})

t.test('rejects a damaged file, and closes it', async t => {
  const path = await make(t, 3000)
  const content = readFileSync(path)
  content[content.lastIndexOf('value-1234') + 7] = 0x39
  writeFileSync(path, content)
  const loading = load(path)
  await t.rejects(openLoaded(path, loading), {
    message: /^the state file .*state\.db is damaged: restore a backup of it/,
  })
  const again = load(path, true)
  await (await openLoaded(path, again)).close()
})

t.test('finds each flipped octet that PRAGMA integrity_check finds', async t => {
  const path = await make(t, 1500)
  const content = readFileSync(path)
  const copy = `${path}.flipped`
  const isRefused = (open: () => unknown) => {
    try {
      open()
      return false
    } catch {
      return true
    }
  }
  const check = () => {
    const lock = openUnchecked(copy)
    try {
      const database = new DatabaseSync(new URL(lockedUrl(copy)), { readOnly: true })
      try {
        loadRevocations(database, false)
      } finally {
        database.close()
      }
    } finally {
      lock?.close()
    }
  }
  writeFileSync(copy, content)
  t.notOk(isRefused(check), 'the whole file')
  let found = 0
  const missed: number[] = []
  for (let round = 0; round < 250; round++) {
    const at = 4096 + Math.floor(Math.random() * (content.length - 4096))
    const flipped = Buffer.from(content)
    flipped[at] = (flipped[at] as number) ^ (1 << (round % 8))
    writeFileSync(copy, flipped)
    if (!isRefused(() => openDatabase(copy).close())) continue
    found++
    writeFileSync(copy, flipped)
    if (!isRefused(check)) missed.push(at)
  }
  t.ok(found > 60, `${found} octets matter`)
  t.same(missed, [])
})

t.test('is left to the process where Node permits no threads', async t => {
  const path = await make(t, 1)
  const from = (name: string) => JSON.stringify(new URL(`../../src/store/${name}.ts`, import.meta.url))
  const program = `
    import { beginLoading } from ${from('sqlite-loading')}
    import { openSqlite } from ${from('sqlite')}
    console.log(beginLoading(${JSON.stringify(path)}, false, 0))
    await openSqlite(${JSON.stringify(path)}).close()`
  const args = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--input-type=module', '-e', program]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.match({ stdout, status }, { stdout: 'undefined\n', status: 0 }, stderr)
})
