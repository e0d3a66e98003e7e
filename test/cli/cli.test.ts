// The command line from outside: exit codes, streams, file modes, and errors.
// CF01, CF03, PK29, RE21, RE25.
import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import t from 'tap'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { main } from '../../src/process/main.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { run, runTlsbound, startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000) // each call is a process
const mode = (path: string) => statSync(path).mode & 0o777
const names = ['ca', 'server', 'alice', 'bob', 'mallory', 'stranger']
/** Matches `tlsbound: …` in one line: no stack, no second line. */
const oneLine = /^tlsbound: [^\n]+\n$/

t.test('certs creates keys readable only for their owner, and overwrites only with --force (CF01)', async t => {
  const folder = t.testdir()
  const first = await runTlsbound(['certs'], folder)
  t.equal(first.code, 0)
  t.equal(first.stdout.trim().split('\n').length, 12)
  t.same(readdirSync(join(folder, 'certs')).sort(), names.flatMap(name => [`${name}.crt`, `${name}.key`]).sort())
  for (const name of names) t.equal(mode(join(folder, 'certs', `${name}.key`)), 0o600)
  const before = readFileSync(join(folder, 'certs/alice.key'), 'utf8')

  const again = await runTlsbound(['certs'], folder)
  t.match(again, { code: 1, stdout: '', stderr: oneLine })
  t.equal(readFileSync(join(folder, 'certs/alice.key'), 'utf8'), before)

  chmodSync(join(folder, 'certs/alice.key'), 0o644)
  t.match(await runTlsbound(['certs', '--force', '--key-type', 'rsa'], folder), { code: 0 })
  t.equal(mode(join(folder, 'certs/alice.key')), 0o600)
  const certificate = new X509Certificate(readFileSync(join(folder, 'certs/alice.crt')))
  t.match(certificate.publicKey, { asymmetricKeyType: 'rsa', asymmetricKeyDetails: { modulusLength: 2048 } })
  t.match(
    await runTlsbound(['certs', '--out', 'certs/alice.crt'], folder),
    { code: 1, stderr: oneLine },
    'the path is a file, not a folder',
  )
})

const ownFiles = {
  TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
  TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
  TLSBOUND_CLIENTS_FILE: 'clients.json',
}
const registration = {
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
}
const put = (path: string, text: string, fileMode = 0o600) => {
  mkdirSync(resolve(path, '..'), { recursive: true })
  writeFileSync(path, text, { mode: fileMode })
}
/** Replaces a file by one with this text, or by an empty folder. */
const replace = (path: string, text?: string) => {
  rmSync(path, { recursive: true, force: true })
  if (text === undefined) mkdirSync(path)
  else writeFileSync(path, text)
}
const keys = 'data/signing-keys.json'
const symmetric = '{"keys":[{"kty":"oct","k":"SECRET","alg":"HS256","kid":"a"}]}'
const publicOnly =
  '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA","kid":"a"}]}'

/** Changes to a valid folder, with what the error must name. */
const spoilt: Record<string, [spoil: (file: (path: string) => string) => unknown, says: RegExp, env?: object]> = {
  'a key that others can read': [file => chmodSync(file('certs/server.key'), 0o640), /certs\/server\.key.*chmod 600/],
  'a key that all can write': [file => chmodSync(file('certs/server.key'), 0o602), /certs\/server\.key.*chmod 600/],
  'a missing key': [file => rmSync(file('certs/server.key')), /certs\/server\.key.*ENOENT/],
  'a key of another certificate': [
    file => cpSync(file('certs/alice.key'), file('certs/server.key')),
    /certs\/server\.key/,
  ],
  'an invalid key': [file => writeFileSync(file('certs/server.key'), 'SECRET'), /certs\/server\.key/],
  'an invalid certificate': [file => writeFileSync(file('certs/server.crt'), 'x'), /certs\/server\.crt/],
  'invalid authorities': [file => writeFileSync(file('certs/ca.crt'), ''), /certs\/ca\.crt/],
  'a folder in place of a file': [file => replace(file('certs/ca.crt')), /certs\/ca\.crt/],
  'a file in place of certs/': [file => replace(file('certs'), ''), /certs/],
  'a file in place of data/': [file => replace(file('data'), ''), /data/],
  'signing keys that others can read': [
    file => put(file(keys), '{"keys":[]}', 0o644),
    /data\/signing-keys\.json.*chmod 600/,
  ],
  'no signing key': [file => put(file(keys), '{"keys":[]}'), /data\/signing-keys\.json/],
  'signing keys that are not JSON': [file => put(file(keys), '{"keys":[{"d":"SECRET'), /data\/signing-keys\.json/],
  'a symmetric signing key': [file => put(file(keys), symmetric), /data\/signing-keys\.json/],
  'a public signing key': [file => put(file(keys), publicOnly), /data\/signing-keys\.json/],
  'a missing file of signing keys': [() => {}, /keys\.json.*ENOENT/, { TLSBOUND_SIGNING_KEYS_FILE: 'keys.json' }],
  'an invalid store': [file => put(file('data/tlsbound.db'), 'no database '.repeat(100)), /data\/tlsbound\.db/],
  'a folder in place of the store': [
    file => mkdirSync(file('data/tlsbound.db'), { recursive: true }),
    /data\/tlsbound\.db/,
  ],
  'a folder in place of the audit file': [file => mkdirSync(file('audit')), /audit/, { TLSBOUND_AUDIT_FILE: 'audit' }],
  'a missing list of clients': [() => {}, /clients\.json.*ENOENT/, ownFiles],
  'clients that are not JSON': [file => put(file('clients.json'), '['), /clients\.json/, ownFiles],
  'a client of no known form': [file => put(file('clients.json'), '[{}]'), /clients\.json.*client_id/s, ownFiles],
  'no list in the revocation file': [
    file => put(file('crl.pem'), ''),
    /crl\.pem/,
    { TLSBOUND_TLS_CLIENT_CRL_FILE: 'crl.pem' },
  ],
  'the demo in production': [() => {}, /TLSBOUND_TLS_CERT_FILE/, { NODE_ENV: 'production' }],
  'the demo’s files in production': [
    file => put(file('clients.json'), JSON.stringify([registration])),
    /demo/,
    { ...ownFiles, NODE_ENV: 'production' },
  ],
  'an address of another machine': [() => {}, /192\.0\.2\.1/, { TLSBOUND_HOST: '192.0.2.1' }],
}

t.test('rejects an invalid file in one line that names it and never quotes it (RE21, RE25, CF01)', async t => {
  const root = t.testdir({ good: {} })
  const here = process.cwd()
  t.teardown(() => process.chdir(here))
  writeDemoPki(join(root, 'good', 'certs'))
  const TLSBOUND_PORT = String(await findFreePort())
  for (const [name, [spoil, says, env]] of Object.entries(spoilt)) {
    const folder = join(root, name.replace(/\W/g, '-'))
    cpSync(join(root, 'good'), folder, { recursive: true })
    spoil(path => join(folder, path))
    process.chdir(folder)
    const error = await main({ TLSBOUND_PORT, TLSBOUND_OPS_PORT: '0', ...env }).then(
      () => new Error('it started'),
      (reason: Error) => reason,
    )
    t.match(error.message, says, name)
    t.notMatch(error.message, /SECRET|it started/, name)
    if (!['a client of no known form', 'the demo in production', 'the demo’s files in production'].includes(name))
      t.notMatch(error.message, /\n/, name)
  }
})

t.test('exits with 1 and no output on stdout when it cannot start, and starts after a repair (RE25)', async t => {
  const folder = t.testdir({ 'clients.json': JSON.stringify([registration]) })
  writeDemoPki(join(folder, 'certs'))
  const wrong = { TLSBOUND_PROT: '1', TLSBOUND_HTTP2: 'maybe' }
  const settings = await runTlsbound(['serve'], folder, wrong)
  t.match(settings, { code: 1, stdout: '', stderr: /^tlsbound: .*TLSBOUND_PROT .*TLSBOUND_HTTP2 /s })
  t.notMatch(settings.stderr, /listening|\n {4}at /)

  const elsewhere = join(folder, 'elsewhere')
  mkdirSync(elsewhere)
  for (const [name, secret] of [
    ['TLSBOUND_STATE_URL', 'postgres://tlsbound:4711#canary@127.0.0.1/state'],
    ['TLSBOUND_STATE_URL', 'mysql://tlsbound:canary@127.0.0.1/state'],
    ['TLSBOUND_STATE_URL', 'postgres://tlsbound:canary%ZZ@127.0.0.1/state'],
    ['TLSBOUND_ISSUER', 'https://tlsbound:canary@127.0.0.1'],
    ['TLSBOUND_OPS_TOKEN_FILE', 'canary7cz0b0c2VjcmV0c2VjcmV0c2VjcmV0c2Vjcm'],
    ['TLSBOUND_SIGNING_KEYS_FILE', '{"keys":[{"d":"canary"}]}'],
  ] as const) {
    const { code, stdout, stderr } = await runTlsbound(['serve'], elsewhere, { [name]: secret })
    t.match({ code, stdout }, { code: 1, stdout: '' }, `${name}=${secret}`)
    t.notMatch(stdout + stderr, /canary|4711/, `${name}=${secret} is not shown`)
  }

  chmodSync(join(folder, 'certs/server.key'), 0o644)
  const key = await runTlsbound(['serve'], folder, ownFiles)
  t.match(key, { code: 1, stdout: '', stderr: oneLine })
  t.notOk(existsSync(join(folder, 'data')), 'no file was created')

  chmodSync(join(folder, 'certs/server.key'), 0o600)
  const server = await startTlsbound(t, folder, ownFiles)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'control')
})

t.test('exits with 1 and one line when the port is in use, without disturbing that server (RE25)', async t => {
  const other = createServer()
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const { code, stderr } = await runTlsbound(['serve'], t.testdir(), { TLSBOUND_PORT: String(port) })
  t.match({ code, stderr }, { code: 1, stderr: oneLine })
  t.match(stderr, new RegExp(`EADDRINUSE.*${port}`))
  t.ok(other.listening)
})

t.test('rejects an older Node in one line, and accepts a newer one (CF03)', async t => {
  const check = resolve('src/process/check-node.js')
  const pretend = (version: string) =>
    `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`
  for (const version of ['24.21.0', '24.100.0', '25.0.0', '100.0.0']) {
    const { code, stdout, stderr } = await run(
      process.execPath,
      ['--import', pretend(version), '--import', check, '-p', '1'],
      '/',
    )
    t.match({ code, stdout, stderr }, { code: 0, stdout: '1\n', stderr: '' }, version)
  }
  for (const version of ['24.20.99', '24.9.0', '22.23.3', '2.21.0']) {
    const { code, stdout, stderr } = await run(
      process.execPath,
      ['--import', pretend(version), '--import', check, '-p', '1'],
      '/',
    )
    t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^[^\n]*24\.21\.0[^\n]*\n$/ }, version)
    t.ok(stderr.includes(version))
  }
  for (const node of await findOlderNodes()) {
    const { code, stdout, stderr } = await run(node, ['--import', check, '-p', '1'], '/')
    t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^[^\n]*24\.21\.0[^\n]*\n$/ }, `the real ${node}`)
  }
})

/** Installed versions of Node, outside of node_modules, that are too old; `--import` requires 18.18. */
async function findOlderNodes(): Promise<string[]> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(folder => !folder.includes('node_modules'))
  const older: string[] = []
  const found = folders.map(folder => join(folder, 'node')).filter(path => existsSync(path))
  for (const node of new Set(found.map(path => realpathSync(path)))) {
    const [major = 0, minor = 0] = (await run(node, ['-p', 'process.versions.node'], '/')).stdout.split('.').map(Number)
    if (major >= 20 && (major < 24 || (major === 24 && minor < 21))) older.push(node)
  }
  return older
}
