// The checks of this machine: settings, exposures, files that the server creates, ports, clock, ops token, events.
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { openEvents } from '../../src/audit/open.ts'
import { checkAuditFile } from '../../src/doctor/audit-file.ts'
import { checkBalancers } from '../../src/doctor/balancers.ts'
import { checkClock } from '../../src/doctor/clock.ts'
import { checkCreatable, checkWritable } from '../../src/doctor/creatable.ts'
import { checkExposures } from '../../src/doctor/exposures.ts'
import { checkEnd, failuresOf, findingsOf } from '../../src/doctor/finding.ts'
import { checkOpsToken } from '../../src/doctor/ops-token.ts'
import { checkPorts } from '../../src/doctor/ports.ts'
import { checkSettings } from '../../src/doctor/settings.ts'
import { ensureOpsToken } from '../../src/process/files.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { linesOf } from '../helpers/process/findings.ts'

const settings = parseSettings({})
const now = Date.now()

t.test('reports each unknown or invalid setting, with the most similar name', t => {
  const check = (env: Record<string, string>) => linesOf(checkSettings(env).findings)
  t.match(check({}), [/^✓ 0 of \d+ settings are set; no certificate is configured, so this is the demo$/])
  t.match(check({ TLSBOUND_WORKERS: '2' }).at(-1), / 2 workers answer requests, on \d+ cores?/)
  t.match(check({ TLSBOUND_WORKERS: '64' }).at(-1), /^! 64 workers .*; set TLSBOUND_WORKERS to auto$/)
  t.equal(check({ TLSBOUND_WORKERS: '1' }).length, 1)
  t.match(check({ TLSBOUND_PORT: '1', TLSBOUND_ISSUER: 'https://as.example' }), [/^✓ 2 of \d+ settings are set/])
  t.match(check({ TLSBOUND_PROT: '1', TLSBOUND_HTTP2: 'yes', TLSBOUND_CRL_FILE: 'x' }), [
    '✗ TLSBOUND_PROT is not a setting; did you mean TLSBOUND_PORT?',
    '✗ TLSBOUND_CRL_FILE is not a setting; did you mean TLSBOUND_TLS_CLIENT_CRL_FILE?',
    /^✗ TLSBOUND_HTTP2 must be/,
  ])
  t.equal(checkSettings({ TLSBOUND_PROT: '1' }).settings, undefined)
  t.end()
})

t.test('reports exposed secrets as failures in production, and as warnings otherwise', t => {
  const folder = t.testdir({ token: 'x' })
  chmodSync(join(folder, 'token'), 0o644)
  const open = { ...settings, opsTokenFile: join(folder, 'token') }
  const check = (env: NodeJS.ProcessEnv, user: number | undefined = 1000) =>
    linesOf(checkExposures(open, { env, execArgv: ['--inspect=0'], user }, join(folder, 'none')), folder)
  const expected = [
    / --inspect lets a debugger/,
    / TLSBOUND_OPS_TOKEN_FILE: token: others can read this secret \(mode 644\); chmod 600 token$/,
  ]
  t.match(check({}), expected)
  t.ok(check({}).every(line => line.startsWith('! ')))
  t.ok(check({ NODE_ENV: 'production' }).every(line => line.startsWith('✗ ')))
  t.match(check({}, 0).at(-1), '! this check runs as root, which can read every file; run it as the user of the server')
  t.same(linesOf(checkExposures(settings, { env: {}, execArgv: [], user: 1 }, join(folder, 'none'))), [
    '✓ no secret is exposed: file modes, owners, debuggers and key logs are in order',
  ])
  t.end()
})

t.test('reports whether the server can create or write its files', async t => {
  const folder = t.testdir({ file: '', open: {}, closed: {} })
  const path = (name: string) => join(folder, name)
  chmodSync(folder, 0o755)
  chmodSync(path('closed'), 0o555)
  t.same(linesOf([checkCreatable(path('open/data/x'), 'the state')], folder), [
    '✓ open/data/x: does not exist yet; the server creates the state when it starts',
  ])
  t.same(linesOf([checkCreatable(path('file/x'), 'the state')], folder), ['✗ file/x: file is a file, not a directory'])
  t.same(linesOf([checkWritable(path('file'), 'the state')], folder), ['✓ file: the state is readable and writable'])
  if (process.geteuid?.() !== 0) return t.comment('only root can run a process as another user')
  chmodSync(path('file'), 0o600)
  const script = `const { checkCreatable, checkWritable } = await import(${JSON.stringify(resolve('src/doctor/creatable.ts'))})
    console.log(JSON.stringify([checkCreatable('closed/x', 'the state'), checkWritable('file', 'the state')]))`
  const nobody = { uid: 65_534, gid: 65_534, cwd: folder, env: {} }
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], nobody)
  t.match(linesOf(JSON.parse(stdout.toString() || JSON.stringify(stderr.toString())), folder), [
    '✗ closed/x: the server cannot create the state, because closed is not writable (EACCES); allow this user to write to closed, or create the file',
    '✗ file: the state is not readable and writable (EACCES); change its mode or owner: ls -l file',
  ])
})

t.test('reports ports in use and addresses that this machine does not have', async t => {
  const other = createServer()
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const free = createServer()
  await new Promise<void>(listening => free.listen(0, '127.0.0.1', listening))
  const { port: opsPort } = free.address() as { port: number }
  await new Promise(closed => free.close(closed))
  t.match(linesOf(await checkPorts({ ...settings, port, opsPort })), [
    `! 127.0.0.1:${port}: in use (EADDRINUSE); if the server is not running, stop the process that listens there, or use another port`,
    `✓ 127.0.0.1:${opsPort}: free`,
  ])
  t.match(linesOf(await checkPorts({ ...settings, host: '192.0.2.1', port, opsPort: 0 })), [
    /^✗ 192\.0\.2\.1:\d+: this machine does not have the address \(EADDRNOTAVAIL\); set TLSBOUND_HOST to an address of this machine$/,
  ])
  t.match(linesOf(await checkPorts({ ...settings, host: '::1', port, opsPort: 0 })), [/\[::1\]:\d+: /])
})

t.test('reports load balancers that include every client', t => {
  const check = (proxyProtocolFrom: string | undefined) => linesOf(checkBalancers({ proxyProtocolFrom }))
  t.match(check(undefined), [/^✓ no PROXY protocol header is accepted/])
  t.match(check('10.0.0.0/8,fd00::/8'), [/^✓ connections from 10\.0\.0\.0\/8,fd00::\/8 must begin/])
  for (const all of ['0.0.0.0/0', '10.0.0.1, ::/0'])
    t.match(check(all), [/^! .* contains every address: .*; list the addresses of the load balancers$/])
  t.end()
})

t.test('compares the clock with other clocks, and with the times of files', t => {
  const folder = t.testdir({ file: '' })
  const file = join(folder, 'file')
  const reading = (ahead: number) => ({ of: 'idp.example', theirs: now - ahead, ours: now })
  const check = (...readings: Parameters<typeof checkClock>[0]) =>
    linesOf(checkClock(readings, [file, 'none'], now), folder)
  utimesSync(file, now / 1000, now / 1000)
  t.same(check(), [`✓ ${new Date(now).toISOString()}; no file has a later time`])
  t.same(check(reading(2000)), ['✓ this clock agrees with the clock of idp.example'])
  t.same(check(reading(4000)), [
    '! this clock is 4 s ahead of the clock of idp.example; synchronize both clocks with NTP',
  ])
  t.same(check(reading(-60_000)), [
    '✗ this clock is 60 s behind the clock of idp.example; synchronize both clocks with NTP',
  ])
  utimesSync(file, now / 1000 + 3600, now / 1000 + 3600)
  t.same(check(), ['! file has a modification time in the future: this clock was set back; synchronize it with NTP'])
  t.end()
})

t.test('reports a missing, a valid and an invalid ops token', async t => {
  const folder = t.testdir({ short: 'x' })
  const opsTokenFile = join(folder, 'token')
  const check = (more: object) => findingsOf(() => checkOpsToken({ ...settings, opsTokenFile, ...more }))
  t.same(linesOf(await check({ opsPort: 0 })), ['✓ no ops listener: TLSBOUND_OPS_PORT is 0'])
  t.same(linesOf(await check({}), folder), [
    '✓ token: does not exist yet; the server creates the ops token when it starts',
  ])
  ensureOpsToken(opsTokenFile)
  t.same(linesOf(await check({}), folder), ['✓ token: valid'])
  chmodSync(join(folder, 'short'), 0o600)
  t.match(linesOf(await check({ opsTokenFile: join(folder, 'short') }), folder), [
    /^✗ short: this is not an ops token: .*; let the server create one/,
  ])
})

t.test('reports whether the event file is writable and the chain of its last events is intact', async t => {
  const folder = t.testdir()
  const auditFile = join(folder, 'logs/events.jsonl')
  const check = async (file: string | undefined = auditFile) =>
    linesOf(await checkAuditFile({ ...settings, auditFile: file }), folder)
  t.same(await checkAuditFile({ ...settings, auditFile: undefined }), [
    { verdict: 'good', found: 'events go to stdout' },
  ])
  t.same(await check(), ['✓ logs/events.jsonl: does not exist yet; the server creates the event file when it starts'])
  const events = openEvents({ auditFile, auditFormat: 'plain' }, () => {})
  for (let count = 0; count < 3; count++)
    events.record({
      time: new Date(now).toISOString(),
      event: 'key.rotated',
      outcome: 'success',
      kid: `k${count}`,
    } as never)
  events.close()
  t.same(await check(), [
    '✓ logs/events.jsonl: the event file is readable and writable',
    '✓ logs/events.jsonl: the last event is complete',
    '✓ logs/events.jsonl: the chain of the last 3 events is intact',
  ])
  const whole = readFileSync(auditFile, 'utf8')
  appendFileSync(auditFile, '{"time":"20')
  t.match(
    (await check())[1],
    /^! logs\/events\.jsonl: the last line is incomplete, as after a crash or a full disk; no action is needed/,
  )
  writeFileSync(auditFile, whole.replace('k1', 'k9'))
  t.match(
    (await check()).at(-1),
    /^✗ logs\/events\.jsonl: logs\/events\.jsonl:3: does not refer to .*; find the cause with: tlsbound audit verify logs\/events\.jsonl$/,
  )
  writeFileSync(auditFile, `${whole}${whole.repeat(20_000).replace(/^/gm, '')}`)
  t.match((await check()).at(-1), /^✗ .*; find the cause with/, 'of a long file only the end is verified')
  mkdirSync(join(folder, 'folder'))
  t.match(await check(join(folder, 'folder')), [/^✓ folder: /])
})

t.test('converts each problem of an error into a failure, and warns of an expiry within the configured days', t => {
  t.same(linesOf(failuresOf(new Error('one'))), ['✗ one'])
  t.same(linesOf(failuresOf(new Error('list.json:\n  - first\n  - second'))), [
    '✗ list.json: first',
    '✗ list.json: second',
  ])
  const end = (days: number) => linesOf([checkEnd('x', now + days * 86_400_000, now, 30, 'renew it')])[0]
  t.match(end(31), /^✓ x expires on /)
  t.match(end(29.5), /^! x expires in 29 days, on .*; renew it$/)
  t.match(end(-1), /^✗ x expired on .*; renew it$/)
  t.same(checkEnd('x', undefined, now, 30, ''), { verdict: 'good', found: 'x does not expire' })
  t.end()
})
