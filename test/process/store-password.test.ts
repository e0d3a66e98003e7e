// The password for the database comes from a file, which is read for each connection.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { checkStore } from '../../src/doctor/store.ts'
import { storePasswordOf } from '../../src/process/store-password.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import { linesOf } from '../helpers/process/findings.ts'
import { runTlsbound } from '../helpers/process/process.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { recovery } from '../store/failures.ts'

t.setTimeout(240_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
const given = 'a p@ss/word'
const url = postgres.url('passwords').replace(/:[^:@/]+@/, '@')
const target = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'tester' }

async function ask(sql: string): Promise<void> {
  const client = new Client({ ...target, password: current })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}
let current = given

function open(t: Test, statePasswordFile: string) {
  const store = openPostgres(url, {
    connections: 2,
    findPassword: storePasswordOf({ stateUrl: url, statePasswordFile }),
  })
  t.teardown(() => store.close())
  return store
}

t.test('reads the password of each connection, so that a changed one works without a restart', async t => {
  const file = join(t.testdir(), 'password')
  writeFileSync(file, `${given}\n`, { mode: 0o600 })
  const store = open(t, file)
  await store.check()
  const stop = await store.follow(() => {})
  const changed = 'ä:\\ "another"'
  await ask(`ALTER ROLE tester PASSWORD '${changed}'`)
  current = changed
  await ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tlsbound'")
  await recovery(async () => {
    const error = await store.check().catch(error => error)
    if (!/^password authentication failed for user/.test(error?.cause?.message))
      throw new Error('not yet', { cause: error })
  })
  writeFileSync(file, '')
  await t.rejects(store.check(), { cause: { message: `${file}: the file is empty, a password is needed` } })
  writeFileSync(file, changed.slice(0, 4))
  await t.rejects(store.check(), { cause: { message: /^password authentication failed for user/ } }, 'half-written')
  writeFileSync(file, changed)
  await recovery(() => store.check())
  await recovery(async () => {
    if (store.millisecondsSinceSync() > 1000) throw new Error('not following yet')
  })
  stop()
  await ask(`ALTER ROLE tester PASSWORD '${given}'`)
  current = given
})

t.test('refuses a file that cannot have the password, and never shows its content', async t => {
  const folder = t.testdir()
  const file = join(folder, 'password')
  const cases: readonly (readonly [content: string | Buffer, mode: number, message: RegExp])[] = [
    ['', 0o600, /^FILE: the file is empty, a password is needed$/],
    ['\n', 0o600, /^FILE: the file is empty, a password is needed$/],
    [
      'canary\ncanary\n',
      0o600,
      /^FILE: the file has several lines, a password of one line is needed; remove the others/,
    ],
    ['canary', 0o444, /^FILE: others can read this secret \(mode 444\); chmod 600 /],
    ['canary', 0o640, /^FILE: others can read this secret \(mode 640\); chmod 600 /],
    [Buffer.from('canary', 'utf16le'), 0o600, /^FILE: this is UTF-16 text/],
    [Buffer.from([0x63, 0xff, 0xfe]), 0o600, /^FILE: this is not a password: it is not UTF-8 text$/],
    ['canary\0', 0o600, /^FILE: this is not a password: it is not UTF-8 text$/],
    ['canary'.repeat(1000), 0o600, /^FILE: this file is larger than 1024 octets$/],
    ['canary', 0o600, /^password authentication failed for user "tester"$/],
  ]
  for (const [content, mode, message] of cases) {
    chmodSync(folder, 0o700)
    writeFileSync(file, content, { mode: 0o600 })
    chmodSync(file, mode)
    const error = (await open(t, file)
      .check()
      .catch(error => error)) as Error & { cause: Error }
    t.match(error.cause.message.replace(file, 'FILE'), message)
    t.notMatch(JSON.stringify([error.stack, error.cause.stack, error.cause]), /canary/)
    chmodSync(file, 0o600)
  }
  for (const content of [given, `${given}\n`, `${given}\r\n`]) {
    writeFileSync(file, content)
    await t.resolves(open(t, file).check(), 'control')
  }
})

t.test('starts no server without the password, and says why', async t => {
  const folder = t.testdir({ empty: '', right: given })
  for (const name of ['empty', 'right']) chmodSync(join(folder, name), 0o600)
  const start = (name: string) =>
    runTlsbound(['serve'], folder, { TLSBOUND_STATE_URL: url, TLSBOUND_STATE_PASSWORD_FILE: name })
  t.match(await start('missing'), {
    code: 1,
    stderr: /the store cannot be used: missing: there is no such file \(ENOENT\)\n$/,
  })
  t.match(await start('empty'), { code: 1, stderr: /the store cannot be used: empty: the file is empty, a password/ })
  const { stderr } = await runTlsbound(['doctor'], folder, {
    TLSBOUND_STATE_URL: url,
    TLSBOUND_STATE_PASSWORD_FILE: 'right',
  })
  t.notMatch(stderr, given)
  const findings = async (name: string) => {
    const env = { TLSBOUND_STATE_URL: url, TLSBOUND_STATE_PASSWORD_FILE: join(folder, name) }
    return linesOf(await checkStore(parseSettings(env), [], join(folder, 'keys.json')), folder)
  }
  t.match(await findings('right'), [
    /^✓ .* PostgreSQL /,
    /^✓ .* can write$/,
    /^✓ schema passwords: /,
    /^✓ no server uses/,
  ])
  const offline = (name: string) =>
    runTlsbound(['serve', '--check'], folder, { TLSBOUND_STATE_URL: url, TLSBOUND_STATE_PASSWORD_FILE: name })
  t.match(await offline('empty'), { code: 1, stdout: /^✗ state: empty: the file is empty, a password is needed$/m })
  t.match(await offline('right'), { code: 0, stdout: /^✓ state: a PostgreSQL database; not contacted in this check$/m })
  t.match(await findings('empty'), [/^✗ postgres at 127\.0\.0\.1:\d+: empty: the file is empty, a password is needed/])
})

t.test('finds the password in a password file of libpq that the URL names', async t => {
  const path = join(t.testdir(), 'pass file')
  const stateUrl = `${url}&passfile=${encodeURIComponent(path)}`
  const find = storePasswordOf({ stateUrl, statePasswordFile: undefined })
  const { host, port, database, user } = target
  const escaped = given.replaceAll('\\', '\\\\')
  for (const [line, password] of [
    [`${host}:${port}:${database}:${user}:${escaped}`, given],
    [`*:*:*:*:a\\:b\\\\c`, 'a:b\\c'],
    [`*:*:*:*:a:b`, 'a:b'],
    [`# comment\n*:1:*:*:no\nother:*:*:*:no\n*:*:*:${user}:yes\n*:*:*:*:later`, 'yes'],
    [`*:*:*:${user}:\r\n*:*:*:*:yes\r\n`, 'yes'],
  ] as const) {
    writeFileSync(path, line, { mode: 0o600 })
    t.equal(find?.(target), password, line)
  }
  writeFileSync(path, `localhost:*:*:*:socket`)
  t.equal(find?.({ ...target, host: '/run/postgresql' }), 'socket')
  for (const line of ['', 'x', '*:*:*:*', `*:*:other:${user}:canary`, 'localhost:*:*:*:canary', '::::'])
    t.throws(
      () => {
        writeFileSync(path, line)
        find?.(target)
      },
      {
        message: `${path}: no line has a password for ${host}:${port}:${database}:${user}; add a line HOST:PORT:DATABASE:USER:PASSWORD, in which * matches everything`,
      },
    )
  writeFileSync(path, `*:*:*:*:${escaped}`)
  const store = openPostgres(stateUrl, { findPassword: find })
  t.teardown(() => store.close())
  await t.resolves(store.check(), 'control')
  chmodSync(path, 0o644)
  t.throws(() => find?.(target), { message: /others can read this secret/ })
  t.throws(() => storePasswordOf({ stateUrl: `${url}&passfile=%zz`, statePasswordFile: undefined }), {
    message:
      '%zz: this value of passfile in the URL of the store is not percent-encoded; write a percent sign in it as %25',
  })
  t.equal(storePasswordOf({ stateUrl: url, statePasswordFile: undefined }), undefined)
  t.equal(storePasswordOf({ stateUrl: 'sqlite:a?passfile=b', statePasswordFile: undefined }), undefined)
})
