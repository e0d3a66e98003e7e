// deploy/tlsbound.service: systemd accepts and confines it, and a server starts with its settings. The how-to pages of
// operations name existing things, and a restored backup restores no more than its page says. RE01, LK14.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventNames } from '../src/audit/event.ts'
import { settingsTable } from '../src/settings/settings.ts'
import { findFreePort } from '../src/testing/free-port.ts'
import { runForeign } from './helpers/process/foreign.ts'
import { runTlsbound, startTlsbound } from './helpers/process/process.ts'
import { writeOwnPki } from './helpers/process/production.ts'
import { refresh, register, startGrant } from './helpers/tokens/grants.ts'

t.setTimeout(120_000)
const unit = 'deploy/tlsbound.service'
const text = readFileSync(unit, 'utf8')
const pages = [
  ...['install-as-a-service', 'run-in-containers', 'run-on-kubernetes', 'rotate-keys', 'renew-certificates'],
  ...['back-up-and-restore', 'upgrade', 'monitor'],
]
const manual = pages.map(name => readFileSync(`docs/how-to/${name}.md`, 'utf8')).join('\n')
const valuesOf = (key: string) => [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)

t.test('has no finding of systemd on the unit, and little exposure', async t => {
  t.equal(await runForeign('systemd', 'systemd-analyze', 'verify', unit), '')
  const judged = await runForeign('systemd', 'systemd-analyze', 'security', '--offline=true', unit)
  const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(judged)?.[1]
  t.ok(Number(exposure) <= 2.5, `exposure ${exposure} of 10`)
  t.notMatch(text, /^MemoryDenyWriteExecute/m, 'the JIT needs what this forbids')
  t.notMatch(text, /^Type=notify/m, 'the server sends no notification to systemd')
  t.same([valuesOf('LimitCORE'), valuesOf('ExecStart')], [['0'], ['/usr/bin/env tlsbound serve']])
})

t.test('starts in production with the variables and the credential of the unit, and stops in time', async t => {
  const folder = t.testdir()
  const places: readonly (readonly [string, string])[] = [
    ['%d/', `${folder}/credentials/`],
    ['%L/', `${folder}/log/`],
    ['/etc/', `${folder}/etc/`],
  ]
  const place = (value: string) => places.reduce((path, [from, to]) => path.replace(from, to), value)
  const certs = join(folder, 'var/certs')
  const state = join(folder, 'var')
  writeOwnPki(certs)
  mkdirSync(join(folder, 'etc/tlsbound'), { recursive: true })
  mkdirSync(join(folder, 'credentials'))
  copyFileSync(join(certs, 'server.crt'), join(folder, 'etc/tlsbound/server.crt'))
  copyFileSync(join(certs, 'ca.crt'), join(folder, 'etc/tlsbound/client-ca.crt'))
  writeFileSync(join(folder, 'etc/tlsbound/clients.json'), JSON.stringify([register('alice')]))
  for (const [name = '', path = ''] of valuesOf('LoadCredential').map(value => value.split(':'))) {
    t.match(path, /^\/etc\/tlsbound\//)
    copyFileSync(join(certs, name), join(folder, 'credentials', name))
    chmodSync(join(folder, 'credentials', name), 0o440) // as an access list shows
  }
  const env = Object.fromEntries(valuesOf('Environment').map(value => place(value).split(/=(.*)/s).slice(0, 2)))
  t.notMatch(Object.keys(env).join(), /SECRET|PASSWORD/)
  const server = await startTlsbound(t, state, { ...env, CREDENTIALS_DIRECTORY: join(folder, 'credentials') })
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 200 })
  const started = performance.now()
  const { code, stdout, stderr } = await server.end('SIGTERM')
  t.equal(code, 0)
  t.ok((performance.now() - started) / 1000 < Number(valuesOf('TimeoutStopSec')[0]))
  t.equal(stdout, '')
  t.notMatch(stderr, /"level":[4-6]0/)
  t.match(readFileSync(join(folder, 'log/tlsbound/events.jsonl'), 'utf8'), /"event":"token.issued"/)
  for (const file of ['data/tlsbound.db', 'data/signing-keys.json']) t.equal(statSync(join(state, file)).mode & 0o77, 0)
})

t.test('names only existing settings, alerts, events and commands in the manual', async t => {
  const settings = new Set(Object.values(settingsTable).map(({ name }) => name))
  for (const [name] of `${manual}${text}`.matchAll(/\bTLSBOUND_[A-Z_]+[A-Z]\b(?!_)/g)) t.ok(settings.has(name), name)
  const rules = readFileSync('docs/monitoring/alerts.yml', 'utf8')
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  t.same(
    [...manual.matchAll(/^\| `(Tlsbound\w+)`/gm)].map(([, name]) => name),
    alerts,
    'each alert, in their order',
  )
  const events: readonly string[] = eventNames
  for (const [, name = ''] of manual.matchAll(/`((?:token|refresh|client|theft|settings|key)\.(?!env)[a-z]+)`/g))
    t.ok(events.includes(name), name)
  const commands = [...manual.matchAll(/^ *\$ .*(?<!\/)\btlsbound ([a-z]+)\b(?! ?=)/gm)].map(([, name]) => name)
  for (const command of new Set(commands)) t.ok(existsSync(`src/cli/${command}.ts`), String(command))
})

t.test('detects a restored backup of SQLite, and revokes everything issued before, as the manual says', async t => {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  const opsPort = await findFreePort()
  const env = {
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    TLSBOUND_OPS_PORT: String(opsPort),
    TLSBOUND_ISSUER: 'https://localhost:8443', // any free port
  }
  const database = join(folder, 'data/tlsbound.db')
  const backup = join(folder, 'backup.db')
  const start = async () => {
    const server = await startTlsbound(t, folder, env)
    return { server, alice: await server.connect('alice') }
  }
  const revoke = (...what: string[]) =>
    runTlsbound(
      ['revoke', ...what, '--ops', `http://127.0.0.1:${opsPort}`, '--ops-token-file', 'data/ops-token'],
      folder,
    )

  let { server, alice } = await start()
  const { refresh: token } = await startGrant(alice)
  await t.rejects(
    runForeign('sqlite3', 'sqlite3', database, `VACUUM INTO '${backup}'`),
    /locked/,
    'never while it runs',
  )
  await server.end('SIGTERM')
  await runForeign('sqlite3', 'sqlite3', database, `VACUUM INTO '${backup}'`)

  ;({ server, alice } = await start())
  t.match(await revoke('--client', 'alice'), { code: 0 })
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } })
  await server.end('SIGTERM')

  copyFileSync(backup, database)
  chmodSync(database, 0o600)
  ;({ server, alice } = await start())
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } }, 'the server detected it')
  t.match(await revoke('--all'), { code: 0 })
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } })
  t.match((await startGrant(alice)).refresh, /^tlsbound_rt_/, 'control: a new grant is issued')
  const { stderr } = await server.end('SIGTERM')
  t.match(stderr, /all tokens issued before now are revoked/)
})
