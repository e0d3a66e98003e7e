// tlsbound keys create: a file of signing keys for several servers.
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { readKeysFile } from '../../src/process/signing-keys.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)

t.test('creates a file that only its owner can read, and that a server uses', async t => {
  const folder = t.testdir()
  const { code, stdout, stderr } = await runTlsbound(['keys', 'create', 'keys.json'], folder)
  t.equal(code, 0)
  const [key] = readKeysFile(join(folder, 'keys.json'))
  t.equal(stdout, `${key?.kid}\n`)
  t.match(
    stderr,
    /^keys\.json has one key, .* Copy it to each server .* \(mode 0600\), and set TLSBOUND_SIGNING_KEYS_FILE to/,
  )
  t.notOk(`${stdout}${stderr}`.includes(String(key?.d)), 'does not show the private key')
  t.equal(statSync(join(folder, 'keys.json')).mode & 0o777, 0o600)
  t.match(await runTlsbound(['keys', 'list', '--file', 'keys.json'], folder), { stdout: `${key?.kid}  ES256  signs\n` })
  const server = await startTlsbound(t, folder, { TLSBOUND_SIGNING_KEYS_FILE: 'keys.json' })
  const published = await (await server.connect(null)).get('/oauth/jwks')
  t.match(published.body.keys, [{ kid: key?.kid }])
})

t.test('creates a key for PASETO too, with which clients can be registered from the first start on', async t => {
  const folder = t.testdir({ 'clients.json': JSON.stringify([register('alice', { access_token_format: 'paseto' })]) })
  const created = await runTlsbound(['keys', 'create', 'keys.json', '--paseto', '--json'], folder)
  const [key, paseto] = readKeysFile(join(folder, 'keys.json'))
  t.same(JSON.parse(created.stdout), { kid: key?.kid, paseto_kid: paseto?.kid, file: 'keys.json' })
  t.match(await runTlsbound(['keys', 'list', '--file', 'keys.json'], folder), {
    stdout: `${key?.kid}  ES256  signs\n${paseto?.kid}  v4.public  signs\n`,
  })
  const files = { TLSBOUND_SIGNING_KEYS_FILE: 'keys.json', TLSBOUND_CLIENTS_FILE: 'clients.json' }
  const server = await startTlsbound(t, folder, files)
  t.match(await (await server.connect('alice')).token(), /^v4\.public\./)
  const other = await runTlsbound(['keys', 'rotate', '--paseto'], folder)
  t.match(other, { code: 2, stderr: /--paseto requires create; to add a key, use rotate --algorithm v4\.public/ })
})

t.test('lists what each key does, of both kinds', async t => {
  const now = Math.floor(Date.now() / 1000)
  const keys = [
    { alg: 'ES256', nbf: now - 900_000, exp: now - 10 },
    { alg: 'ES256', nbf: now - 800_000, exp: now + 10 },
    { alg: 'ES256', nbf: now - 100 },
    { alg: 'v4.public', nbf: now - 200, exp: now + 100_000 },
    { alg: 'v4.public', nbf: now + 300 },
  ]
  const jwks = await Promise.all(keys.map(async key => ({ ...(await generateTokenKey(key.alg as 'ES256')), ...key })))
  const folder = t.testdir({ 'keys.json': JSON.stringify({ keys: jwks }) })
  chmodSync(join(folder, 'keys.json'), 0o600)
  const { stdout } = await runTlsbound(['keys', 'list', '--file', 'keys.json'], folder)
  t.match(stdout.split('\n'), [
    /ES256 {2}expired, removed on /,
    /ES256 {2}verifies, removed on /,
    /ES256 {2}signs$/,
    /v4\.public {2}signs, removed on /,
    /v4\.public {2}signs from /,
  ])
  const listed = await runTlsbound(['keys', 'list', '--file', 'keys.json', '--json'], folder)
  t.same(
    JSON.parse(listed.stdout).map(({ signs }: { signs: boolean }) => signs),
    [false, false, true, true, false],
  )
})

t.test('creates a key of the given algorithm, and prints JSON', async t => {
  const folder = t.testdir()
  for (const algorithm of ['EdDSA', 'RS256']) {
    const file = `${algorithm}.json`
    const { code, stdout } = await runTlsbound(['keys', 'create', file, '--algorithm', algorithm, '--json'], folder)
    t.equal(code, 0)
    const { kid, alg } = readKeysFile(join(folder, file))[0] ?? {}
    t.same([JSON.parse(stdout), alg], [{ kid, file }, algorithm])
  }
})

t.test('never replaces a file, and names what to do', async t => {
  const folder = t.testdir({ 'keys.json': 'mine' })
  symlinkSync('nowhere', join(folder, 'dangling'))
  for (const [path, message] of [
    [
      'keys.json',
      'keys.json: this file exists, and is not replaced; add a key to it with tlsbound keys rotate --file keys.json, or pass another path',
    ],
    [
      'dangling',
      'dangling: this file exists, and is not replaced; add a key to it with tlsbound keys rotate --file dangling, or pass another path',
    ],
    ['a b/keys.json', "a b/keys.json: the folder 'a b' does not exist; create it: mkdir -p 'a b'"],
    ['keys.json/x', 'keys.json/x: this file cannot be created (ENOTDIR)'],
  ] as const)
    t.same(await runTlsbound(['keys', 'create', path], folder), {
      code: 1,
      stdout: '',
      stderr: `tlsbound: ${message}\n`,
    })
  t.equal(readFileSync(join(folder, 'keys.json'), 'utf8'), 'mine')
  const results = await Promise.all([1, 2, 3].map(() => runTlsbound(['keys', 'create', 'new.json'], folder)))
  t.same(results.map(({ code }) => code).sort(), [0, 1, 1], 'one of several at once')
  for (const [args, message] of [
    [['create'], 'the path of the file is missing: tlsbound keys create FILE'],
    [['create', 'a', 'b'], 'unexpected argument b'],
    [['create', 'a', '--file', 'b'], 'create takes the path as an argument, without --file'],
    [['create', 'a', '--algorithm', 'HS256'], '--algorithm must be one of ES256, EdDSA, RS256'],
    [['list', 'a'], 'unexpected argument a'],
  ] as const) {
    const { code, stderr } = await runTlsbound(['keys', ...args], folder)
    t.same({ code, message: stderr.split('\n')[0] }, { code: 2, message: `tlsbound: ${message}` })
  }
  writeFileSync(join(folder, 'none'), '')
  const { stderr } = await runTlsbound(['serve'], folder, { TLSBOUND_SIGNING_KEYS_FILE: 'missing.json' })
  t.match(
    stderr,
    /missing\.json: there is no such file \(ENOENT\); copy the file of another server here, or create it: tlsbound keys create missing\.json \(/,
  )
})
