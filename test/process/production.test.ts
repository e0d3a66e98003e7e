// Production mode: a server with exposed secrets does not start, and reports each exposure; without them it starts.
// Otherwise each is one warning and one event. LK08, LK09, LK10, LK14.
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type TAP } from 'tap'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { findExposures } from '../../src/process/exposures.ts'
import { enforceProductionMode } from '../../src/process/production.ts'
import { secretPath } from '../../src/settings/forms.ts'
import { parseSettings, settingsTable } from '../../src/settings/settings.ts'
import { type Environment, run, startTlsbound } from '../helpers/process/process.ts'
import { writeOwnPki } from '../helpers/process/production.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)
type Test = Pick<TAP, 'testdir' | 'teardown'>

/** A folder with everything that a production server needs, and the environment that names it. */
function prepare(t: Test): { folder: string; env: Environment } {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  const env = {
    NODE_ENV: 'production',
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
  }
  return { folder, env }
}

t.test('starts and serves in production, ignores requests for a debugger, and logs no secret', async t => {
  const { folder, env } = prepare(t)
  const harmless = {
    NODE_DEBUG: '',
    NODE_TLS_REJECT_UNAUTHORIZED: '1',
    TLSBOUND_UNSAFE_TOKEN_COOKIE: 'off',
  }
  const server = await startTlsbound(t, folder, { ...env, ...harmless })
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 200 })
  server.child.kill('SIGUSR1')
  const { headers } = await alice.get('/binding')
  const telling = Object.keys(headers).filter(name => /^(server|x-powered-by|via|x-.*version)$/.test(name))
  t.same(telling, [], 'LK10')
  const words = readFileSync(`/proc/${server.child.pid}/cmdline`, 'utf8').split('\0')
  t.same(words.slice(-3), [resolve('src/cli/cli.ts'), 'serve', ''], 'no secret in the output of ps (LK14)')
  const { code, stderr } = await server.end('SIGTERM')
  t.equal(code, 0)
  t.notMatch(stderr, /Debugger listening/)
  t.notMatch(stderr, /"level":[4-6]0/, 'and no warnings')
})

t.test('reports all exposures of secrets together, before anything is created or listens (LK09, PK29)', async t => {
  const { folder, env } = prepare(t)
  writeDemoPki(join(folder, 'demo'))
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'data/signing-keys.json'), '{}', { mode: 0o644 })
  chmodSync(join(folder, 'certs/server.key'), 0o640)
  const before = readdirSync(folder, { recursive: true }).sort()
  const variables = {
    NODE_DEBUG: 'none',
    NODE_DEBUG_NATIVE: 'none',
    SSLKEYLOGFILE: 'keys.log',
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on',
  }
  const NODE_OPTIONS = '--heapsnapshot-signal=SIGUSR2 --report-on-fatalerror'
  const options = ['--inspect_port=0', '--report-uncaught-exception']
  const words = [...options, resolve('src/cli/cli.ts'), 'serve']
  const demo = { TLSBOUND_TLS_CLIENT_CA_FILE: 'demo/ca.crt' }
  const { code, stdout, stderr } = await run(process.execPath, words, folder, {
    ...{ ...env, ...variables, ...demo },
    NODE_OPTIONS,
  })
  t.match({ code, stdout }, { code: 1, stdout: '' })
  const [, ...named] = stderr.split('invalid configuration:')[1]?.trimEnd().split('\n') ?? []
  t.same(
    named.map(line => /^- with NODE_ENV=production, ([^\s:]+)/.exec(line)?.[1]).sort(),
    [
      ...Object.keys(variables),
      ...['--heapsnapshot-signal', '--inspect-port', '--report-on-fatalerror', '--report-uncaught-exception'],
      ...['TLSBOUND_SIGNING_KEYS_FILE', 'TLSBOUND_TLS_CLIENT_CA_FILE', 'TLSBOUND_TLS_KEY_FILE'],
    ].sort(),
  )
  t.same(readdirSync(folder, { recursive: true }).sort(), before)
})

t.test('finds each exposing option in every spelling that Node accepts, and no others', async t => {
  const options = (...given: string[]) => findExposures({}, given).map(({ name }) => name)
  const inEnvironment = (NODE_OPTIONS: string) => findExposures({ NODE_OPTIONS }, []).map(({ name }) => name)
  for (const [given, name] of [
    ['--inspect', '--inspect'],
    ['--inspect=127.0.0.1:9229', '--inspect'],
    ['--inspect_brk=0', '--inspect-brk'],
    ['--inspect-wait', '--inspect-wait'],
    ['--inspect-publish-uid=http', '--inspect-publish-uid'],
    ['--tls-keylog=/tmp/keys', '--tls-keylog'],
    ['--trace-tls', '--trace-tls'],
    ['--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-signal'],
    ['--heapsnapshot-near-heap-limit=1', '--heapsnapshot-near-heap-limit'],
    ['--report-on-signal', '--report-on-signal'],
    ['--abort-on-uncaught-exception', '--abort-on-uncaught-exception'],
    ['--experimental-config-file=node.json', '--experimental-config-file'],
  ] as const) {
    t.same(options(given), [name], given)
    t.same(inEnvironment(`--max-old-space-size=512 "${given}"`), [name], `${given} in NODE_OPTIONS`)
  }
  t.same(options('--tls-keylog', 'file', '--tls_keylog', 'file'), ['--tls-keylog'], 'reported once')
  const harmless = '--disable-sigusr1 --report-exclude-env --report-exclude-network --import=./inspect.js --no-warnings'
  t.same(options(...harmless.split(' ')), [])
  t.same(inEnvironment(harmless), [])
  t.same(findExposures({ NODE_DEBUG: '', SSLKEYLOGFILE: '', NODE_TLS_REJECT_UNAUTHORIZED: '1' }, []), [])
})

t.test('finds secret files that others can read or own, for every setting', async t => {
  const secrets = Object.values(settingsTable).filter(({ form }) => form === secretPath)
  const promised = Object.values(settingsTable).filter(({ meaning }) => meaning.includes('mode 0600'))
  t.same(secrets, promised, 'the documented secrets are checked')
  const folder = t.testdir()
  const files = Object.fromEntries(secrets.map(({ name }) => [name, join(folder, name)]))
  const find = () => {
    const { TLSBOUND_TLS_KEY_FILE: tlsKeyFile = '', TLSBOUND_SIGNING_KEYS_FILE: keysFile = '', ...others } = files
    const settings = { ...parseSettings({ ...others, TLSBOUND_STATE_URL: 'postgres://u@h/x' }), tlsKeyFile }
    return enforceProductionMode(settings, { env: {}, execArgv: [] }, keysFile).map(({ sentence }) => sentence)
  }
  t.same(find(), [], 'missing files are not reported here')
  for (const file of Object.values(files)) writeFileSync(file, 'x', { mode: 0o600 })
  t.same(find(), [], 'control')
  for (const mode of [0o640, 0o604, 0o660]) {
    for (const file of Object.values(files)) chmodSync(file, mode)
    const octal = mode.toString(8)
    const expected = Object.entries(files).map(
      ([name, file]) => `${name}: ${file}: others can read this secret (mode ${octal}); chmod 600 ${file}`,
    )
    t.same(find(), expected, octal)
  }
  if (process.getuid?.() !== 0) return t.comment('only root can change the owner of files')
  for (const file of Object.values(files)) {
    chmodSync(file, 0o600)
    chownSync(file, 4711, 4711)
  }
  t.same(
    find().map(sentence => sentence.replace(/,.*/s, '')),
    Object.entries(files).map(([name, file]) => `${name}: ${file}: this file belongs to another user (4711)`),
  )
})

t.test(
  'accepts a systemd credential readable through an access list, in its folder only, and not if all can read it',
  async t => {
    const folder = t.testdir()
    const path = join(folder, 'tls-key')
    const find = () => {
      const settings = { ...parseSettings({}), tlsKeyFile: path }
      return enforceProductionMode(settings, { env: {}, execArgv: [] }, join(folder, 'none')).length
    }
    const { CREDENTIALS_DIRECTORY: before } = process.env
    t.teardown(() => {
      delete process.env.CREDENTIALS_DIRECTORY
      if (before !== undefined) process.env.CREDENTIALS_DIRECTORY = before
    })
    writeFileSync(path, 'x')
    chmodSync(path, 0o440) // the mode of a file with such a list
    t.equal(find(), 1)
    process.env.CREDENTIALS_DIRECTORY = folder
    t.equal(find(), 0)
    chmodSync(path, 0o444)
    t.equal(find(), 1)
  },
)

t.test('logs one warning and one event for each outside production, and starts', async t => {
  const doors = { NODE_DEBUG: 'none', NODE_TLS_REJECT_UNAUTHORIZED: '0', TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' }
  const server = await startTlsbound(t, t.testdir(), doors)
  const { stdout, stderr } = await server.end('SIGTERM')
  const count = (text: string, pattern: RegExp) => text.split('\n').filter(line => pattern.test(line)).length
  for (const name of Object.keys(doors)) {
    t.equal(count(stderr, new RegExp(`"level":40.*"msg":"${name} `)), 1, name)
    t.equal(count(stdout, new RegExp(`"event":"settings.unsafe".*"setting":"${name}"`)), 1, name)
  }
})

t.test('excludes the environment from a diagnostic report (LK08)', async t => {
  const canary = { TLSBOUND_STATE_URL: 'postgres://somebody:canary4711@127.0.0.1/none' }
  const report = async (guard: string) => {
    const script = `const { enforceProductionMode } = await import(${JSON.stringify(resolve('src/process/production.ts'))})
      const { parseSettings } = await import(${JSON.stringify(resolve('src/settings/settings.ts'))})
      ${guard}
      process.stdout.write(JSON.stringify(process.report.getReport()))`
    return run(process.execPath, ['--input-type=module', '-e', script], t.testdir(), canary)
  }
  t.match(await report(''), { code: 0, stdout: /canary4711/ }, 'control: included by default')
  const { code, stdout } = await report("enforceProductionMode(parseSettings(process.env), process, 'none')")
  t.match({ code, stdout }, { code: 0, stdout: /"nodejsVersion"/ })
  t.notMatch(stdout, 'canary4711')
})
