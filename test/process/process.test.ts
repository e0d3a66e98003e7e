// The server process from outside: the files it creates, its signals, and its output.
// CB29, CF01, CF09, LK03, RE02, RE10, RE27.
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'

t.setTimeout(120_000) // each test starts its own processes
const mode = (path: string) => statSync(path).mode & 0o777

t.test('serve creates what is missing, serves TLS on loopback only, and preserves its keys (CF01, CF09)', async t => {
  const folder = t.testdir()
  const server = await startTlsbound(t, folder)
  t.same(readdirSync(folder).sort(), ['certs', 'data'])
  t.equal(mode(join(folder, 'data')), 0o700)
  t.equal(mode(join(folder, 'data/signing-keys.json')), 0o600)
  for (const name of ['ca', 'server', 'alice']) t.equal(mode(join(folder, 'certs', `${name}.key`)), 0o600)

  const alice = await server.connect('alice')
  const bound = await alice.token()
  t.match(await alice.get('/api/whoami', bound), { status: 200, body: { client_id: 'alice' } })
  const token = await alice.token({ token_binding: 'certificate' })
  const headers = { 'content-type': 'application/json' }
  t.match(await alice.call('/api/notes', { method: 'POST', token, headers, body: '{"text":"kept"}' }), { status: 201 })
  const plain = await new Promise<string>(done => {
    let text = ''
    const socket = connectTcp(server.port, '127.0.0.1', () =>
      socket.write('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    )
    socket
      .on('data', chunk => (text += chunk))
      .on('error', () => {})
      .on('close', () => done(text))
  })
  t.notMatch(plain, /HTTP/, 'no response without TLS')
  t.match(await server.end('SIGTERM'), { code: 0 })

  const second = await startTlsbound(t, folder, { TLSBOUND_PORT: String(server.port) })
  const again = await second.connect('alice')
  t.match(
    await again.get('/api/notes', token),
    { status: 200, body: { notes: [{ text: 'kept' }] } },
    'same signing key, same store',
  )
  t.match(await again.get('/api/whoami', bound), { status: 401, body: { reason: 'connection_mismatch' } }, 'CB29')
  t.match(await again.get('/api/whoami', await again.token()), { status: 200 }, 'a new token works')
  t.match(await second.end('SIGINT'), { code: 0 })
})

t.test('SIGHUP applies valid files under live connections, and ignores invalid ones (RE10)', async t => {
  const folder = t.testdir()
  const server = await startTlsbound(t, folder)
  const alice = await server.connect('alice')
  const token = await alice.token()
  const served = async () => (await server.connect(null)).socket.getPeerX509Certificate()?.fingerprint256
  const before = await served()
  const reload = async (expected: RegExp) => {
    const since = server.stderr().length
    server.child.kill('SIGHUP')
    await server.seen(expected, since)
  }
  const certificate = readFileSync(join(folder, 'certs/server.crt'))

  for (const [file, text] of [
    ['certs/server.crt', 'broken'],
    ['certs/server.crt', readFileSync(join(folder, 'certs/alice.crt'))],
    ['certs/ca.crt', ''],
  ] as const) {
    const good = readFileSync(join(folder, file))
    writeFileSync(join(folder, file), text)
    await reload(/"level":50,[^\n]*certs\/[^\n]*\n/)
    writeFileSync(join(folder, file), good)
    t.match(await alice.get('/api/whoami', token), { status: 200 }, 'the live connection still works')
    t.equal(await served(), before, 'new connections still get the old certificate')
  }
  t.same(readFileSync(join(folder, 'certs/server.crt')), certificate)

  writeDemoPki(join(folder, 'new'))
  for (const file of ['server.crt', 'server.key', 'ca.crt'])
    cpSync(join(folder, 'new', file), join(folder, 'certs', file))
  await reload(/"level":30,[^\n]*again[^\n]*\n/)
  t.match(server.stderr(), /live connections end within a minute/)
  t.match(
    await (await server.connect('alice')).requestToken(),
    { status: 401, body: { reason: 'certificate_untrusted' } },
    'the authority was removed',
  )
  const renewed = await server.connect('alice', { folder: 'new' })
  t.not(renewed.socket.getPeerX509Certificate()?.fingerprint256, before)
  t.match(await renewed.get('/api/whoami', await renewed.token()), { status: 200 }, 'a client of the new authority')
})

t.test('SIGTERM completes requests in progress, then ends within seconds (RE02)', async t => {
  const server = await startTlsbound(t, t.testdir())
  for (const protocol of ['http/1.1', 'h2'])
    await (await server.connect('alice', { ALPNProtocols: [protocol] })).get('/binding')
  const { socket } = await server.connect('alice')
  const body = 'grant_type=client_credentials&client_id=alice'
  const headers = [
    'Expect: 100-continue',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
  ]
  socket.write(requestText('POST /oauth/token', headers))
  await new Promise(begun => socket.once('data', begun)) // 100 Continue: the server has the request
  server.child.kill('SIGTERM')
  await server.seen(/SIGTERM/)
  const { answers } = await exchange({ socket }, body, { until: 1 })
  t.match(answers, [{ status: 200, body: { access_token: String } }])
  t.match(await server.ended(10_000), { code: 0 })
  await t.rejects(server.connect('alice'), { code: 'refused' })
})

t.test('a silent connection does not keep a server from ending (RE02)', async t => {
  const server = await startTlsbound(t, t.testdir())
  t.equal((await server.connect('alice')).socket.authorized, true, 'connected, and silent')
  const silent = connectTcp(server.port, '127.0.0.1')
  silent.on('error', () => {})
  await new Promise(connected => silent.once('connect', connected))
  t.match(await server.end('SIGTERM', 10_000), { code: 0 })
  silent.destroy()
})

t.test(
  'writes events as JSON lines in UTC, whatever a client sends and whatever the time zone (LK03, RE27)',
  async t => {
    const server = await startTlsbound(t, t.testdir(), { TZ: 'America/St_Johns', TLSBOUND_LOG_LEVEL: 'debug' })
    const alice = await server.connect('alice')
    const hostile =
      'a\r\n{"event":"token.issued"}\u0000\u001b[31m\u2028\u2029\u0085\u009b31m\u007f","x":"\ud83d\ude00\ufeff'
    await alice.requestToken({ client_id: hostile })
    await alice.requestToken({ client_id: `${'a'.repeat(127)}\ud83d\ude00` })
    await alice.requestToken({ scope: hostile })
    await alice.call('/api/%0d%0a%1b[31m%E2%80%A8', { headers: { 'user-agent': '{"a":1}\t\u0085' } })
    await alice.call('/nothing/"},{"event":"x"', {})
    await alice.get('/api/whoami', Buffer.from(hostile).toString('base64url'))
    await alice.token()
    t.match(await server.end('SIGTERM'), { code: 0 })

    const written = server.stdout()
    const [first = '', ...lines] = written.trimEnd().split('\n')
    t.match(JSON.parse(first), { event: 'key.rotated', change: 'present' }, 'the key of the first start')
    t.equal(lines.length, 7)
    for (const line of lines) {
      const event = JSON.parse(line)
      t.match(event, {
        time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
        outcome: /^(success|refused)$/,
        peer: '127.0.0.1',
      })
      t.ok(Math.abs(Date.parse(event.time) - Date.now()) < 60_000)
    }
    t.match(JSON.parse(lines[0] as string), { client_id: hostile }, 'control: it is complete, as a value')
    for (const raw of ['\r', '\u0000', '\u001b', '\u007f', '\u0085', '\u009b', '\u2028', '\u2029'])
      t.notOk(
        written.includes(raw),
        `U+${raw.charCodeAt(0).toString(16)} is escaped: some readers treat it as a line end or a command`,
      )
    for (const line of server
      .stderr()
      .split('\n')
      .filter(text => text.startsWith('{')))
      t.match(JSON.parse(line).time, /Z$/)
  },
)

t.test('appends events to a file across restarts', async t => {
  const folder = t.testdir()
  for (const count of [1, 2]) {
    const server = await startTlsbound(t, folder, { TLSBOUND_AUDIT_FILE: 'logs/audit.jsonl' })
    await (await server.connect('alice')).token()
    t.match(await server.end('SIGTERM'), { code: 0, stdout: '' })
    t.equal(
      readFileSync(join(folder, 'logs/audit.jsonl'), 'utf8').trim().split('\n').length,
      count + 1,
      'and the key once',
    )
  }
})

t.test('warns of the unsafe switch at each start, and records an event', async t => {
  const server = await startTlsbound(t, t.testdir(), { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' })
  t.match(server.stderr(), /"level":40,[^\n]*TLSBOUND_UNSAFE_TOKEN_COOKIE/)
  const { stdout } = await server.end('SIGTERM') // until then its two streams have no defined order
  t.match(JSON.parse(stdout.split('\n')[0] as string), {
    event: 'settings.unsafe',
    setting: 'TLSBOUND_UNSAFE_TOKEN_COOKIE',
  })
})
