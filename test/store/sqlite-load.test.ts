// A large SQLite file, which threads load: it is locked and checked as one that the process loads itself.
import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { Revocations } from '../../src/core/revocations.ts'
import { openLoaded, openSqlite } from '../../src/store/sqlite.ts'
import { lockedUrl, openDatabase, openUnchecked } from '../../src/store/sqlite-file.ts'
import { checkIndexes, loadRows, requireSame } from '../../src/store/sqlite-load.ts'
import { beginLoading, type Loading } from '../../src/store/sqlite-loading.ts'
import type { Change, Store } from '../../src/store/store.ts'
import { unavailable } from '../../src/testing/store-contract/contract.ts'

t.setTimeout(120_000)
/**
 * Its last octet is not 0: an entry of an index whose number has a wrong length would then read as before, with that octet. PRAGMA
 * integrity_check finds it; the check does not, and nothing is lost by it.
 */
const expires = 2_000_000_001
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

/** Whether another process cannot use the file: the system's locks of one process end when it closes the file anywhere. */
function isLocked(path: string): boolean {
  const program = `new (require('node:sqlite').DatabaseSync)(process.argv[1]).exec('BEGIN IMMEDIATE')`
  const { status, stderr } = spawnSync(process.execPath, ['-e', program, path], { encoding: 'utf8' })
  if (status !== 0 && !stderr.includes('database is locked')) throw new Error(stderr)
  return status !== 0
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
    t.ok(isLocked(path), 'while it is loaded')
    const store = await openLoaded(path, loading)
    t.teardown(() => store.close())
    t.ok(isLocked(path), 'afterwards')
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
    t.notOk(isLocked(path), 'control')
  })

t.test('checks revocations of one second that take several reads', async t => {
  for (const same of [11_000, 15_000]) {
    const one = (value: string) => ({ kind: 'token' as const, value, notBefore: 0, expires: expires + 2 })
    const path = await make(t, 100, store =>
      Promise.all(Array.from({ length: same }, (_, index) => store.revoke(one(`same-${index}`)))),
    )
    const store = await openLoaded(path, load(path))
    const { has } = await follow(store)
    t.ok(has('token', `same-${same - 1}`) && has('token', 'value-0'))
    await store.close()
    // As an index of all rows but one, which then is said to have all.
    const index = "name = 'revocations_by_expiry'"
    const run = (sql: string) =>
      spawnSync('sqlite3', [path, '.dbconfig defensive off', `PRAGMA writable_schema = ON; ${sql}`], {
        encoding: 'utf8',
      })
    const edits = [
      `UPDATE sqlite_schema SET sql = sql || ' WHERE value <> ''same-7000''' WHERE ${index}`,
      'REINDEX revocations_by_expiry',
      `UPDATE sqlite_schema SET sql = substr(sql, 1, instr(sql, ' WHERE') - 1) WHERE ${index}`,
    ]
    for (const edit of edits) t.match(run(edit), { status: 0, stderr: '' })
    await t.rejects(openLoaded(path, load(path)), /is damaged/, 'an entry is missing in the middle')
  }
})

t.test('reads values that cannot be packed one by one', async t => {
  // SQLite's order is that of UTF-8, and JavaScript's another one for the last two.
  const others = ['\u00e4', '\u{1f600}', '\uff5e']
  const path = await make(t, 10, store =>
    Promise.all(others.map(value => store.revoke({ kind: 'token', value, notBefore: 0, expires }))),
  )
  const store = await openLoaded(path, load(path))
  const { has, changes } = await follow(store)
  t.equal(changes.length, 14)
  for (const value of others) t.ok(has('token', value))
  await store.close()

  const content = readFileSync(path)
  content[content.lastIndexOf('value-1') + 6] = 0x7a
  writeFileSync(path, content)
  await t.rejects(openLoaded(path, load(path)), /is damaged/, 'and such a file is checked too')
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

t.test('leaves the file to the process when no thread can load it', async t => {
  const path = await make(t, 10)
  const from = (name: string) => JSON.stringify(pathToFileURL(resolve('src/store', name)))
  const program = `
    import { beginLoading } from ${from('sqlite-loading.ts')}
    import { openLoaded, openSqlite } from ${from('sqlite.ts')}
    const [path, isIntact] = process.argv.slice(2)
    const loading = beginLoading(path, isIntact === 'true', 0)
    const store = loading ? await openLoaded(path, loading) : openSqlite(path)
    let [changes, packed] = [0, 0]
    await store.follow(() => changes++, 0, ({ ends }) => (packed = ends.length))
    console.log(changes, packed)
    await store.close()`
  const file = `${path}.mjs`
  writeFileSync(file, program)
  const broken = "if (!(await import('node:worker_threads')).isMainThread) throw new Error('broken')"
  const run = (options: string[], isIntact: boolean) =>
    spawnSync(process.execPath, [...options, file, path, String(isIntact)], { encoding: 'utf8' })
  for (const isIntact of [true, false]) {
    t.match(run([], isIntact), { stdout: '5 10\n' }, 'control')
    t.match(run(['--import', `data:text/javascript,${encodeURIComponent(broken)}`], isIntact), { stdout: '11 0\n' })
    const denied = run(['--permission', '--allow-fs-read=*', '--allow-fs-write=*'], isIntact)
    t.match(denied, { stdout: '11 0\n' }, denied.stderr)
  }
  const content = readFileSync(path)
  content[content.lastIndexOf('value-1') + 6] = 0x7a
  writeFileSync(path, content)
  t.match(run(['--import', `data:text/javascript,${encodeURIComponent(broken)}`], false).stderr, /state\.db is damaged/)
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

const isRefused = (open: () => unknown) => {
  try {
    open()
    return false
  } catch {
    return true
  }
}

/** Checks a file as the threads do. */
function check(path: string): void {
  const lock = openUnchecked(path)
  try {
    const database = new DatabaseSync(new URL(lockedUrl(path)), { readOnly: true })
    try {
      const indexes = checkIndexes(database)
      requireSame(loadRows(database, false), indexes)
    } finally {
      database.close()
    }
  } finally {
    lock?.close()
  }
}

t.test('finds each flipped octet that PRAGMA integrity_check finds', async t => {
  const path = await make(t, 1500)
  const content = readFileSync(path)
  const copy = `${path}.flipped`
  writeFileSync(copy, content)
  t.notOk(
    isRefused(() => check(copy)),
    'the whole file',
  )
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
    if (!isRefused(() => check(copy))) missed.push(at)
  }
  t.ok(found > 60, `${found} octets matter`)
  t.same(missed, [])
})

t.test('finds the same bit flipped in two rows, as a broken memory does it', async t => {
  const path = join(t.testdir(), 'state.db')
  const store = openSqlite(path)
  const rows = Array.from({ length: 80 }, (_, index) => ({
    ...{ value: `client-${1000 + index}`, notBefore: 1.8e9 + index, expires: expires + 1000 * index },
  }))
  await Promise.all(rows.map(row => store.revoke({ kind: 'client', ...row })))
  await store.close()
  const content = readFileSync(path)
  const copy = `${path}.flipped`
  /** Flips a bit of the mark in the table, 12 days, but not in its index. */
  function flip(octets: Buffer, { value, notBefore }: { value: string; notBefore: number }): void {
    const cells = Buffer.alloc(value.length + 4, value)
    cells.writeUInt32BE(notBefore, value.length)
    const at = octets.indexOf(cells) + value.length + 1
    octets[at] = (octets[at] as number) ^ 0x10
  }
  const missed: string[] = []
  for (let index = 0; index < rows.length; index += 2) {
    const flipped = Buffer.from(content)
    for (const row of rows.slice(index, index + 2)) flip(flipped, row)
    writeFileSync(copy, flipped)
    t.throws(() => openDatabase(copy), /is damaged/, 'control')
    writeFileSync(copy, flipped)
    if (!isRefused(() => check(copy))) missed.push(rows[index]?.value ?? '')
  }
  t.same(missed, [])
})

t.test('rejects a file without its position, from which the store is followed', async t => {
  const path = await make(t, 10)
  const database = new DatabaseSync(path)
  database.exec('DELETE FROM news_sequence')
  database.close()
  for (const isIntact of [false, true])
    await t.rejects(openLoaded(path, load(path, isIntact)), { message: /^the state file .* is damaged/ })
})
