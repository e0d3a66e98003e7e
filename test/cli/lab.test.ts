// tlsbound lab as a process against a server process: output, report files and exit codes.
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { UsageError, type Values } from '../../src/cli/command.ts'
import { command } from '../../src/cli/lab.ts'
import { scenarios } from '../../src/lab/catalog.ts'
import { type ProfileOptions, readProfile } from '../../src/lab/profile.ts'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { run, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { startBrokenServer } from '../helpers/server/broken-server.ts'

t.setTimeout(120_000)

const folder = t.testdir()
const server = await startTlsbound(t, folder)
const url = `https://localhost:${server.port}`
const lab = (...args: string[]) => runTlsbound(['lab', ...args], folder)
const play = (...args: string[]) => lab(url, '--pki', 'certs', ...args)

t.test('--list prints one line per scenario, or all details as JSON', async t => {
  const { code, stdout } = await lab('--list')
  t.equal(code, 0)
  t.same(
    stdout.trim().split('\n'),
    scenarios.map(({ id, sentence }) => `${id.padEnd(Math.max(...scenarios.map(one => one.id.length)))}  ${sentence}`),
  )
  const listed = JSON.parse((await lab('--list', '--json')).stdout)
  t.equal(listed.length, scenarios.length)
  t.match(listed[0], { id: String, stolen: String, control: String, demanded_by: Array, stopped_at: Array })
})

t.test('--explain describes one scenario', async t => {
  const { code, stdout } = await lab('--explain', 'other-connection')
  t.equal(code, 0)
  for (const word of ['second connection', 'stolen', 'control', 'RFC 9266 §2', 'promised at level'])
    t.match(stdout, word)
})

t.test('runs at every level over both HTTP versions, and exits with 0 when all thefts were rejected', async t => {
  const { code, stdout, stderr } = await play('--only', 'no-certificate,other-connection')
  t.equal(code, 0, stderr)
  for (const level of ['certificate', 'proof', 'connection'])
    t.match(stdout, new RegExp(`${level} +${level}`), 'a column for each version of HTTP')
  t.match(stdout, /^other-connection +accepted +accepted +accepted +accepted +passed +passed$/m)
  t.match(stdout, /^ {2}other-connection: level proof does not promise/m)
  t.match(stdout, /^8 passed, 0 failed, 4 accepted \(not promised\), 0 not tried; \d+ connections, [\d.]+ s$/m)
  t.match(stderr, 'running at level connection, TLS 1.3, HTTP/2')
})

t.test('prints JSON, and writes JUnit XML and the HTML report to files', async t => {
  const files = ['--junit', 'lab.xml', '--html', 'lab.html', '--json']
  const { code, stdout } = await play('--level', 'connection', '--http', '2', '--only', 'relay', ...files)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    server: `${url}/`,
    sums: { passed: 1, failed: 0 },
    identities: [{ name: 'alice', subject: 'CN=alice', client_id: 'alice' }, {}, {}, {}],
    runs: [{ level: 'connection', http: 'h2', tls: 'TLSv1.3', findings: [{ id: 'relay', outcome: 'passed' }] }],
  })
  const written = ['lab.xml', 'lab.html'].map(name => readFileSync(join(folder, name), 'utf8'))
  t.match(written[0], /<testcase classname="tlsbound.lab.connection" name="relay">/)
  t.match(written[1], /<h3>relay<\/h3>/)
  t.notMatch([stdout, ...written].join(), /eyJ|PRIVATE KEY/, 'no report contains a token or key')
})

t.test('the keys of a test setup enable more scenarios', async t => {
  const only = ['--only', 'same-subject,broken-confirmation', '--level', 'certificate', '--http', '1.1', '--json']
  const outcomes = async (...args: string[]) =>
    JSON.parse((await lab(url, ...only, ...args)).stdout).runs[0].findings.map(
      ({ id, outcome }: Record<string, string>) => `${id} ${outcome}`,
    )
  const all = await outcomes('--pki', 'certs', '--signing-key', 'data/signing-keys.json')
  t.same(new Set(all), new Set(['same-subject passed', 'broken-confirmation passed']))
  cpSync(join(folder, 'certs'), join(folder, 'few'), { recursive: true })
  for (const name of ['ca.key', 'bob.crt', 'mallory.crt', 'stranger.crt']) rmSync(join(folder, 'few', name))
  t.same(new Set(await outcomes('--pki', 'few')), new Set(['same-subject not tried', 'broken-confirmation not tried']))
})

t.test('exits with 1 when a theft was accepted, and reports it', async t => {
  const broken = await startBrokenServer('ignoresConnection')
  t.teardown(() => broken.close())
  const { ca, alice } = broken.pki
  const pki = t.testdir({
    'ca.crt': ca.certificate,
    'alice.crt': alice.certificate,
    'alice.key': alice.key,
  })
  const args = ['lab', broken.origin, '--pki', pki, '--only', 'other-connection', '--level', 'connection']
  const { code, stdout, stderr } = await runTlsbound(args, folder)
  t.equal(code, 1)
  t.match(stderr, /FAILED other-connection: accepted: on a second connection: 200/)
  t.match(
    stdout,
    /What the server must reject:\n {2}other-connection, level connection, TLS 1.3, HTTP\/1.1: .*\n {4}Remedy: Compare/,
  )
})

t.test('exits with 1 when no scenario could run', async t => {
  const { code, stdout, stderr } = await play('--only', 'stolen-proof', '--level', 'certificate', '--http', '1.1')
  t.equal(code, 1)
  t.match(stdout, /^stolen-proof +–$/m)
  t.match(stderr, 'No scenario could run')
})

t.test('shows progress only on a terminal', async t => {
  const only = ['--only', 'no-certificate,relay', '--level', 'certificate', '--http', '1.1']
  const words = ['lab', url, '--pki', 'certs', ...only]
  const command = [process.execPath, resolve('src/cli/cli.ts'), ...words].join(' ')
  const { code, stdout } = await run('script', ['-qec', command, '/dev/null'], folder, { TERM: 'xterm' })
  t.equal(code, 0)
  t.match(stdout, '\r\u001b[K  2 of 2: relay\r\u001b[K', 'progress is removed before the report')
  t.match(stdout, '\u001b[32mpassed\u001b[39m', 'the report has colours')
  const piped = await play(...only)
  t.notMatch(piped.stdout + piped.stderr, '\u001b')
})

t.test('--gentle waits between connections', async t => {
  const only = ['--only', 'no-certificate', '--level', 'connection', '--http', '1.1', '--json']
  const [quick, gentle] = [await play(...only), await play(...only, '--gentle')].map(({ stdout }) => JSON.parse(stdout))
  t.match([quick.sums.passed, gentle.sums.passed], [1, 1])
  t.equal(gentle.connections, quick.connections)
  t.ok(gentle.runs[0].duration >= 250 * gentle.connections)
})

t.test('reads the server’s metadata, and the rest from options', async t => {
  const rest = ['--only', 'other-certificate,other-connection', '--http', '1.1', '--scope', 'notes:read']
  const { code, stdout } = await play('--profile', 'rfc8705', '--resource', `${url}/api/notes`, ...rest)
  t.equal(code, 0)
  t.match(stdout, `tokens used at ${url}/api/notes, profile rfc8705`)
  t.match(stdout, /^ +certificate\n +TLS 1.3\n +HTTP\/1.1$/m)
})

t.test('options override the metadata, and a value that neither has is reported as missing', async t => {
  const issuer = new URL('https://idp.example')
  const read = (options: ProfileOptions, metadata?: object) =>
    readProfile(issuer, options, async () => ({ status: metadata ? 200 : 404, headers: {}, text: '', body: metadata }))
  const metadata = {
    token_endpoint: 'https://idp.example/token',
    revocation_endpoint: 'https://idp.example/revoke',
    mtls_endpoint_aliases: { token_endpoint: 'https://mtls.idp.example/token' },
  }
  const resource = 'https://api.example/me'
  const found = await read({ resource }, metadata)
  t.match([found.name, found.levels], ['rfc8705', ['certificate']])
  t.equal(found.tokenEndpoint.href, 'https://mtls.idp.example/token', 'RFC 8705 §5')
  t.equal(found.revocationEndpoint?.href, 'https://idp.example/revoke')
  for (const more of [{}, { token_bindings_supported: ['certificate', 'connection', 'nonsense'] }]) {
    const tokenEndpoint = 'https://elsewhere.example/token'
    const given = await read({ resource, tokenEndpoint }, { ...metadata, ...more })
    t.equal(given.tokenEndpoint.href, tokenEndpoint)
    t.equal(given.resource.href, resource)
  }
  await t.rejects(read({ resource }), /set --token-endpoint/)
  await t.rejects(read({}, metadata), /set --resource/)
  await t.rejects(read({ name: 'tlsbound' }, metadata), /set --profile rfc8705/)
})

t.test('reports wrong usage before any scenario runs', async t => {
  const pki = join(folder, 'certs')
  const wrong: readonly (readonly [RegExp, Values, string[]])[] = [
    [/URL of the server is missing/, { pki }, []],
    [/unexpected argument .*; expected one server/, { pki }, [url, url]],
    [/expected an https URL/, { pki }, ['http://localhost']],
    [/expected an https URL/, { pki }, ['nonsense']],
    [/--pki FOLDER \(TLSBOUND_LAB_PKI\) is missing/, {}, [url]],
    [/no scenario other-conection; did you mean other-connection\?/, { explain: 'other-conection' }, []],
    [/no scenario nonsense/, { pki, only: 'relay,nonsense' }, [url]],
    [/no scenario nonsense/, { explain: 'nonsense' }, []],
    [/--tls must be one of 1.3, 1.2/, { pki, tls: '1.1' }, [url]],
    [/--http must be one of 1.1, 2/, { pki, http: '3' }, [url]],
    [/--level must be one of/, { pki, level: 'bearer' }, [url]],
    [/--profile must be one of/, { pki, profile: 'oauth' }, [url]],
    [/does not offer level proof/, { pki, profile: 'rfc8705', resource: '/api/whoami', level: 'proof' }, [url]],
  ]
  for (const [words, values, names] of wrong) {
    const refused = async () => command.run(values, names)
    const error = await refused().catch(error => error)
    t.type(error, UsageError, String(words))
    t.match(error.message, words)
  }
  const { code, stderr } = await lab()
  t.equal(code, 2)
  t.match(stderr, 'URL of the server is missing')
})

t.test('reports an error before the first scenario in one line', async t => {
  const pki = join(folder, 'certs')
  writeDemoPki(join(folder, 'others'))
  const mixed = t.testdir({ 'ca.crt': readFileSync(join(folder, 'others', 'ca.crt'), 'utf8') })
  for (const name of ['alice.crt', 'alice.key', 'ca.key']) cpSync(join(pki, name), join(mixed, name))
  const problems: readonly (readonly [RegExp, Values, string])[] = [
    [
      /no connection over TLSv1.3: localhost:1: nothing accepts connections there \(ECONNREFUSED\)/,
      { pki },
      'https://localhost:1',
    ],
    [/over TLSv1.2: .*alert protocol version/, { pki, tls: '1.2' }, url],
    [/over TLSv1.3: .*\((UNABLE_TO|SELF_SIGNED|CERT_SIGNATURE)/, { pki: join(folder, 'others') }, url],
    [/nowhere.ca.crt: there is no such file \(ENOENT\)/, { pki: join(folder, 'nowhere') }, url],
    [/ca.key: this key does not belong to any certificate in .*ca.crt/, { pki: mixed }, url],
    [/ca.crt, line 1, column 1: this is PEM, JSON is needed/, { pki, 'signing-key': join(pki, 'ca.crt') }, url],
  ]
  for (const [words, values, at] of problems) {
    const error = await Promise.resolve(command.run(values, [at])).catch(error => error)
    t.match(error.message, words)
    t.notOk(error instanceof UsageError)
  }
})
