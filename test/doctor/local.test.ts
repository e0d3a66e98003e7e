// The checks that look at this machine alone: settings, exposures, files that are made, ports, clock, ops token, events.
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { openEvents } from '../../src/audit/open.ts'
import { checkAuditFile } from '../../src/doctor/audit-file.ts'
import { checkClock } from '../../src/doctor/clock.ts'
import { checkCreatable, checkWritable } from '../../src/doctor/creatable.ts'
import { checkExposures } from '../../src/doctor/exposures.ts'
import { checkEnd, failuresOf, findingsOf } from '../../src/doctor/finding.ts'
import { checkOpsToken } from '../../src/doctor/ops-token.ts'
import { checkPorts } from '../../src/doctor/ports.ts'
import { checkSettings } from '../../src/doctor/settings.ts'
import { ensureOpsToken } from '../../src/process/files.ts'
import { readSettings } from '../../src/settings/settings.ts'
import { linesOf } from '../helpers/process/findings.ts'

const settings = readSettings({})
const now = Date.now()

t.test('settings: each that is none or wrong is named, with the one that was meant', t => {
  const check = (env: Record<string, string>) => linesOf(checkSettings(env).findings)
  t.match(check({}), [/^✓ 0 of \d+ are given; no certificate is given, so this is the demo$/])
  t.match(check({ TLSBOUND_PORT: '1', TLSBOUND_ISSUER: 'https://as.example' }), [/^✓ 2 of \d+ are given/])
  t.match(check({ TLSBOUND_PROT: '1', TLSBOUND_HTTP2: 'yes', TLSBOUND_CRL_FILE: 'x' }), [
    '✗ TLSBOUND_PROT is not a setting; did you mean TLSBOUND_PORT?',
    '✗ TLSBOUND_CRL_FILE is not a setting; did you mean TLSBOUND_TLS_CLIENT_CRL_FILE?',
    /^✗ TLSBOUND_HTTP2 must be/,
  ])
  t.equal(checkSettings({ TLSBOUND_PROT: '1' }).settings, undefined)
  t.end()
})

t.test('secrets: what lets them out fails in production, and is a warning elsewhere', t => {
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
  t.match(check({}, 0).at(-1), '! this runs as root, who can read every file; run it as the user of the server')
  t.same(linesOf(checkExposures(settings, { env: {}, execArgv: [], user: 1 }, join(folder, 'none'))), [
    '✓ nothing lets secrets out: modes, owners, debuggers, key logs',
  ])
  t.end()
})

t.test('files that the server makes: whether it can', async t => {
  const folder = t.testdir({ file: '', open: {}, closed: {} })
  const path = (name: string) => join(folder, name)
  chmodSync(folder, 0o755)
  chmodSync(path('closed'), 0o555)
  t.same(linesOf([checkCreatable(path('open/data/x'), 'the state')], folder), [
    '✓ open/data/x: not there yet; the server makes the state at its start',
  ])
  t.same(linesOf([checkCreatable(path('file/x'), 'the state')], folder), ['✗ file/x: file is a file, not a directory'])
  t.same(linesOf([checkWritable(path('file'), 'the state')], folder), ['✓ file: the state can be read and written'])
  if (process.geteuid?.() !== 0) return t.comment('only root can become another user')
  chmodSync(path('file'), 0o600)
  const script = `const { checkCreatable, checkWritable } = await import(${JSON.stringify(resolve('src/doctor/creatable.ts'))})
    console.log(JSON.stringify([checkCreatable('closed/x', 'the state'), checkWritable('file', 'the state')]))`
  const nobody = { uid: 65_534, gid: 65_534, cwd: folder, env: {} }
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], nobody)
  t.match(linesOf(JSON.parse(stdout.toString() || JSON.stringify(stderr.toString())), folder), [
    '✗ closed/x: the state cannot be made, since closed cannot be written (EACCES); let this user write in closed, or make the file',
    '✗ file: the state cannot be read and written (EACCES); change its mode or owner: ls -l file',
  ])
})

t.test('ports: free, in use, not of this machine', async t => {
  const other = createServer()
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const free = createServer()
  await new Promise<void>(listening => free.listen(0, '127.0.0.1', listening))
  const { port: opsPort } = free.address() as { port: number }
  await new Promise(closed => free.close(closed))
  t.match(linesOf(await checkPorts({ ...settings, port, opsPort })), [
    `! 127.0.0.1:${port}: in use (EADDRINUSE); if the server does not run, end what listens there or use another port`,
    `✓ 127.0.0.1:${opsPort}: free`,
  ])
  t.match(linesOf(await checkPorts({ ...settings, host: '192.0.2.1', port, opsPort: 0 })), [
    /^✗ 192\.0\.2\.1:\d+: this machine does not have the address \(EADDRNOTAVAIL\); give one of its own as TLSBOUND_HOST$/,
  ])
  t.match(linesOf(await checkPorts({ ...settings, host: '::1', port, opsPort: 0 })), [/\[::1\]:\d+: /])
})

t.test('clock: against those of others, and files from the future', t => {
  const folder = t.testdir({ file: '' })
  const file = join(folder, 'file')
  const reading = (ahead: number) => ({ of: 'idp.example', theirs: now - ahead, ours: now })
  const check = (...readings: Parameters<typeof checkClock>[0]) =>
    linesOf(checkClock(readings, [file, 'none'], now), folder)
  utimesSync(file, now / 1000, now / 1000)
  t.same(check(), [`✓ ${new Date(now).toISOString()}; no file is newer`])
  t.same(check(reading(2000)), ['✓ this clock agrees with that of idp.example'])
  t.same(check(reading(4000)), [
    '! this clock is 4 s ahead of that of idp.example; set the clock by NTP, on both machines',
  ])
  t.same(check(reading(-60_000)), [
    '✗ this clock is 60 s behind that of idp.example; set the clock by NTP, on both machines',
  ])
  utimesSync(file, now / 1000 + 3600, now / 1000 + 3600)
  t.same(check(), ['! file was written in the future: this clock was set back; set the clock by NTP'])
  t.end()
})

t.test('ops token: made at the start, there, or not to be used', async t => {
  const folder = t.testdir({ short: 'x' })
  const opsTokenFile = join(folder, 'token')
  const check = (more: object) => findingsOf(() => checkOpsToken({ ...settings, opsTokenFile, ...more }))
  t.same(linesOf(await check({ opsPort: 0 })), ['✓ no ops listener: TLSBOUND_OPS_PORT is 0'])
  t.same(linesOf(await check({}), folder), ['✓ token: not there yet; the server makes the ops token at its start'])
  ensureOpsToken(opsTokenFile)
  t.same(linesOf(await check({}), folder), ['✓ token: an ops token'])
  chmodSync(join(folder, 'short'), 0o600)
  t.match(linesOf(await check({ opsTokenFile: join(folder, 'short') }), folder), [
    /^✗ short: this is not an ops token: .*; let the server create one/,
  ])
})

t.test('events: the file can be written, and the chain of its last events is whole', async t => {
  const folder = t.testdir()
  const auditFile = join(folder, 'logs/events.jsonl')
  const check = async (file: string | undefined = auditFile) =>
    linesOf(await checkAuditFile({ ...settings, auditFile: file }), folder)
  t.same(await checkAuditFile({ ...settings, auditFile: undefined }), [
    { verdict: 'good', found: 'events go to stdout' },
  ])
  t.same(await check(), ['✓ logs/events.jsonl: not there yet; the server makes the file of events at its start'])
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
    '✓ logs/events.jsonl: the file of events can be read and written',
    '✓ logs/events.jsonl: ends with a whole event',
    '✓ logs/events.jsonl: the chain of its last 3 events is whole',
  ])
  const whole = readFileSync(auditFile, 'utf8')
  appendFileSync(auditFile, '{"time":"20')
  t.match(
    (await check())[1],
    /^! logs\/events\.jsonl: ends within a line, as after a crash or a full disk; nothing is to be done/,
  )
  writeFileSync(auditFile, whole.replace('k1', 'k9'))
  t.match(
    (await check()).at(-1),
    /^✗ logs\/events\.jsonl: logs\/events\.jsonl:3: does not refer to .*; see what it is: tlsbound audit verify logs\/events\.jsonl$/,
  )
  writeFileSync(auditFile, `${whole}${whole.repeat(20_000).replace(/^/gm, '')}`)
  t.match((await check()).at(-1), /^✗ .*; see what it is/, 'a long file is looked at from near its end')
  mkdirSync(join(folder, 'folder'))
  t.match(await check(join(folder, 'folder')), [/^✓ folder: /])
})

t.test('what a reader throws is one failure for each problem, and an end is judged by its distance', t => {
  t.same(linesOf(failuresOf(new Error('one'))), ['✗ one'])
  t.same(linesOf(failuresOf(new Error('list.json:\n  - first\n  - second'))), [
    '✗ list.json: first',
    '✗ list.json: second',
  ])
  const end = (days: number) => linesOf([checkEnd('it', now + days * 86_400_000, now, 30, 'renew it')])[0]
  t.match(end(31), /^✓ it, ends /)
  t.match(end(29.5), /^! it, ends in 29 days, on .*; renew it$/)
  t.match(end(-1), /^✗ it, ended on .*; renew it$/)
  t.same(checkEnd('it', undefined, now, 30, ''), { verdict: 'good', found: 'it, without an end' })
  t.end()
})
