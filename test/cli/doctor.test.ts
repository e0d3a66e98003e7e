// `tlsbound doctor` and `tlsbound serve --check` as processes: streams, exit codes, JSON, and no side effects.
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { command as doctor } from '../../src/cli/doctor.ts'
import { command as serve } from '../../src/cli/serve.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { writeOwnPki } from '../helpers/process/production.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(300_000)

/** Creates a folder with the files of a server, and the environment that configures them. */
async function prepare(t: Test) {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  const put = (name: string, content: string) => writeFileSync(join(folder, name), content, { mode: 0o600 })
  put('clients.json', JSON.stringify([register('alice'), register('bob')]))
  const env = {
    TLSBOUND_PORT: String(await findFreePort()),
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
  }
  const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return {
    folder,
    put,
    env,
    files,
    run: (args: readonly string[], more = {}) => runTlsbound(args, folder, { ...env, ...more }),
  }
}

t.test('succeeds before the first start, and creates nothing', async t => {
  const { files, run } = await prepare(t)
  const before = files()
  for (const args of [['doctor'], ['serve', '--check']]) {
    const { code, stdout, stderr } = await run(args)
    t.equal(code, 0, args.join(' '))
    t.match(stderr, /^0 failures, \d+ warnings?\.\n$/)
    for (const check of [
      'settings',
      'secrets',
      'certificate',
      'authorities',
      'clients',
      'signing keys',
      'issuers',
      'webhooks',
      'gateway',
      'leak keys',
      'ops token',
      'state',
      'events',
      'ports',
      'clock',
    ])
      t.match(stdout, new RegExp(`^[✓!] ${check}: `, 'm'), check)
    t.notMatch(stdout, /✗/)
  }
  t.same(files(), before)
})

t.test('reports all problems at once with exit code 1, and the server does not start', async t => {
  const { put, run, folder, files } = await prepare(t)
  put('clients.json', '[{"client_id": "alice",}]')
  put('certs/ca.crt', 'x')
  chmodSync(join(folder, 'certs/server.key'), 0o644)
  const before = files()
  const { code, stdout, stderr } = await run(['doctor'])
  t.match({ code, stderr }, { code: 1, stderr: /^\d failures, \d+ warnings?\.\n$/ })
  t.match(
    stdout,
    /^✗ certificate: certs\/server\.key: others can read this secret \(mode 644\); chmod 600 certs\/server\.key$/m,
  )
  t.match(stdout, /^✗ authorities: certs\/ca\.crt: there is no PEM block in this file/m)
  t.match(stdout, /^✗ clients: clients\.json, line 1, column 23: there is a comma before \}; remove the comma$/m)
  t.match(await run(['serve', '--check']), { code: 1, stdout: /^✗ clients: clients\.json, line 1/m })
  t.match(await run(['serve']), { code: 1 })
  t.same(
    files().filter(name => !name.startsWith('data')),
    before,
  )

  const { code: unset, stdout: said } = await run(['doctor'], { TLSBOUND_PROT: '1', TLSBOUND_TLS_KEY_FILE: '' })
  t.equal(unset, 1)
  t.match(
    said,
    /^✗ settings: TLSBOUND_PROT is not a setting; did you mean TLSBOUND_PORT\?\n✗ settings: .* must be given together\n$/,
  )
})

t.test('prints JSON', async t => {
  const { run, put } = await prepare(t)
  const good = await run(['doctor', '--json'])
  t.match({ code: good.code, stderr: good.stderr }, { code: 0, stderr: '' })
  const { passed, findings } = JSON.parse(good.stdout)
  t.equal(passed, true)
  t.ok(findings.length > 14)
  for (const finding of findings)
    t.match(finding, { check: String, verdict: /^(good|warning|failure)$/, found: String })
  put('clients.json', '{}')
  const bad = await run(['serve', '--check', '--json'])
  t.match({ code: bad.code, ...JSON.parse(bad.stdout) }, { code: 1, passed: false })
  t.match(
    JSON.parse(bad.stdout).findings.find(({ check }: { check: string }) => check === 'clients'),
    { verdict: 'failure', found: 'clients.json: the outermost value is an object, an array is needed' },
  )
})

t.test('works next to a running server, and from outside', async t => {
  const { folder, env, run } = await prepare(t)
  const server = await startTlsbound(t, folder, env)
  await (await server.connect('alice')).token()
  const before = statSync(join(folder, 'data/tlsbound.db'))
  const { code, stdout } = await run(['doctor', '--certs', 'certs'])
  t.equal(code, 0)
  t.match(stdout, /^! ports: 127\.0\.0\.1:\d+: in use \(EADDRINUSE\)/m)
  t.match(stdout, /^✓ signing keys: data\/signing-keys\.json: key \S+ \(ES256\) signs$/m)
  t.match(stdout, /^[✓!] clients: client alice: certs\/alice\.crt expires /m)
  t.match(stdout, /^! clients: client bob: no certificate in certs matches; compare the names: CN=alice$/m)
  const after = statSync(join(folder, 'data/tlsbound.db'))
  t.same([after.mtimeMs, after.size], [before.mtimeMs, before.size])
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'the server is not disturbed')

  const url = `https://localhost:${server.port}`
  const identity = ['--ca', 'certs/ca.crt', '--cert', 'certs/alice.crt', '--key', 'certs/alice.key']
  const outside = await run(['doctor', '--url', url, ...identity], { TLSBOUND_PORT: '' })
  t.equal(outside.code, 0, outside.stdout)
  t.match(outside.stdout, /^✓ binding: the server accepts the certificate of CN=alice/m)
  const gone = await run(['doctor', '--url', `https://localhost:${await findFreePort()}`, '--ca', 'certs/ca.crt'])
  t.match(gone, { code: 1, stdout: /^✗ tls: localhost:\d+: nothing accepts connections there/m })
})

t.test('exits with 2 for wrong usage', async t => {
  const { run } = await prepare(t)
  t.match(await run(['doctor', '--url', 'localhost']), {
    code: 2,
    stdout: '',
    stderr: /--url must be an https address/,
  })
  t.match(await run(['doctor', '--what']), { code: 2, stdout: '' })
  const usage = { constructor: UsageError, message: /exclude each other|requires --check/ }
  await t.rejects(async () => doctor.run({ url: 'https://x.example', certs: 'x' }, []), usage)
  await t.rejects(async () => serve.run({ json: true }, []), usage)
})
