// The streams behind the live page: who may read them, that they are bounded, and that they contain no token. LK06, LK12.
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import t from 'tap'
import { createOpsServer } from '../../src/ops/server.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { openStream } from '../helpers/server/live.ts'
import { callOps } from '../helpers/server/ops.ts'
import { until } from '../helpers/until.ts'

const server = await startTestServer({ ops: true })
t.teardown(() => server.close())
const { url = '' } = server.ops ?? {}
const without = { headers: { authorization: undefined } }

t.test('serves the page and its files without a token, without data, and with a strict policy', async t => {
  const page = await callOps(server, 'GET', '/', without)
  const files = [...page.text.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path as string)
  t.same(files.sort(), ['/page/icon.svg', '/page/main.js', '/page/style.css'])
  const seen = new Set(files)
  for (const path of seen) {
    const { status, headers, text } = await callOps(server, 'GET', path, without)
    t.match({ status, headers }, { status: 200, headers: { 'x-content-type-options': 'nosniff' } }, path)
    t.notMatch(text, /https?:\/\/(?!www\.w3\.org\/2000\/svg)|@import|url\(/, `${path} loads nothing from elsewhere`)
    for (const [, name] of text.matchAll(/from '\.\/([^']+)'/g)) seen.add(`/page/${name}`)
  }
  t.ok(seen.size >= 10, 'control: its modules were found')
  for (const answer of [page, await callOps(server, 'GET', '/page/main.js', without)])
    t.match(answer.headers, {
      'content-security-policy': /^default-src 'none'; script-src 'self'; style-src 'self';.* frame-ancestors 'none'/,
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    })
  t.notMatch(page.headers, { 'content-security-policy': /unsafe|https?:|\*/ })
  t.match(await callOps(server, 'GET', '/page/../server.ts', without), { status: 401 }, 'no other path is a file')
  t.match(await callOps(server, 'GET', '/', { headers: { host: 'attacker.example' } }), { status: 421 }, 'rebinding')
})

t.test('streams events and runs the theft demo only with the ops token (LK06)', async t => {
  const control = await openStream(server)
  t.match(await control.next(), { total: 0, connections: [], canPlay: true }, 'control')
  t.match(control.headers.get('content-type'), /^application\/x-ndjson/)
  control.close()
  const before = server.events.length
  const port = new URL(url).port
  const wrong = { headers: { authorization: `Bearer ${'x'.repeat(43)}` } }
  const elsewhere = { headers: { host: `attacker.example:${port}` } }
  for (const [method, path] of [
    ['GET', '/live'],
    ['POST', '/live/thefts'],
  ] as const) {
    // biome-ignore format: a table
    t.match(await callOps(server, method, path, without), { status: 401, body: { reason: 'no_token' } }, path)
    t.match(await callOps(server, method, path, wrong), { status: 401, body: { reason: 'bad_signature' } }, path)
    t.match(await callOps(server, method, path, elsewhere), { status: 421 }, path)
    const preflight = { headers: { authorization: undefined, origin: 'http://attacker.example' } }
    const { status, headers } = await callOps(server, 'OPTIONS', path, preflight)
    t.match({ status, cors: headers['access-control-allow-origin'] }, { status: 401, cors: undefined }, path)
  }
  t.notOk(
    server.events.slice(before).some(({ event }) => event === 'token.issued'),
    'no demo was run',
  )
  const alice = await server.connect('alice')
  for (const path of ['/live', '/live/thefts', '/page/main.js', '/health', '/metrics', '/admin/clients'])
    t.match(await alice.get(path), { status: 404 }, `${path} is not on the mutual-TLS listener`)
  alice.close()
})

t.test('streams connections, tokens and refusals as they happen, by thumbprints and ids', async t => {
  const stream = await openStream(server)
  await stream.next()
  const alice = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const opened = await stream.next(line => line.connections.length > 0)
  const { bindings, certificate } = (await alice.get('/binding')).body
  const card = { http: 'HTTP/2', tls: 'TLSv1.3', subject: 'CN=alice', certificate: certificate['x5t#S256'], bindings }
  t.match(opened, { total: 1, connections: [card] })
  const token = await alice.token()
  const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
  const shown = { jti, client: 'alice', binding: 'connection', exporter: bindings['tls-exporter'] }
  t.match(await stream.next(line => line.connections.length > 0), {
    connections: [{ client: 'alice', tokens: [shown] }],
  })

  const bob = await server.connect('bob')
  await bob.get('/api/whoami', token)
  const refused = await stream.next(line => line.refusals.length > 0)
  t.match(refused.refusals, [
    { reason: 'certificate_mismatch', sentence: /is bound to another/, token: jti, status: 401 },
  ])
  server.clock += 301
  const id = opened.connections[0].id
  const aged = await stream.next(line => line.connections.some((one: { id: number }) => one.id === id))
  t.match(aged.connections, [{ id, tokens: [] }], 'an expired token is removed')
  server.clock -= 301
  alice.close()
  t.match(await stream.next(line => line.gone.length > 0), { gone: [id] })
  bob.close()
  for (const piece of token.split('.').slice(1)) t.notOk(stream.text().includes(piece), 'no part of the token')
  stream.close()
})

t.test('truncates text of clients, and redacts what may be a token', async t => {
  const stream = await openStream(server)
  const alice = await server.connect('alice')
  const token = await alice.token()
  const refresh = `tlsbound_rt_${'x'.repeat(43)}`
  await alice.requestToken({ client_id: token })
  await alice.requestToken({ client_id: refresh })
  await alice.requestToken({ client_id: 'Zoë\u202e\u001b[2J' })
  let told = ''
  for (const path of [`/${token}`, `/${'y'.repeat(300)}`]) {
    await alice.get(path)
    await stream.next(line => {
      told += JSON.stringify(line.refusals)
      return line.refusals.some(({ request = '' }) => request.startsWith(`GET ${path.slice(0, 4)}`))
    })
  }
  for (const part of ['"eyJ…"', '"tlsbound_rt_…"', 'GET /eyJ…', 'Zoë\\\\u{202e}\\\\u{1b}[2J']) t.match(told, part)
  t.notMatch(stream.text(), /eyJ[\w-]|tlsbound_rt_\w|y{200}/)
  alice.close()
  stream.close()
})

t.test('streams the newest 60 of many connections, and counts all', async t => {
  const many = await Promise.all(Array.from({ length: 65 }, () => server.connect(null)))
  const stream = await openStream(server)
  const first = await stream.next()
  t.match([first.connections.length, first.total], [60, 65])
  t.match(first.connections.at(-1), {
    problem: 'no_certificate',
    bindings: { 'tls-exporter': /^[\w-]{43}$/ },
    tokens: [],
  })
  const [shown, newest] = [first.connections[0].id, first.connections.at(-1).id]
  const told = async (total: number) => {
    const { connections, gone, overtaken } = await stream.next(line => line.total === total)
    return [connections.length, gone, overtaken]
  }
  const close = (index: number) => [...server.tls.connections].at(index)?.socket.destroy()
  close(0)
  t.same(await told(64), [0, [], []], 'one that was not shown')
  many.push(await server.connect(null))
  t.same(await told(65), [1, [], [shown]], 'one that makes room for a newer one, and stays open')
  close(-2)
  t.same(await told(64), [1, [newest], []], 'one that has closed, and an older one in its place')
  for (const connection of many) connection.close()
  await stream.next(line => line.total === 0)
  stream.close()
})

t.test('combines a flood of equal refusals into one entry, which hides neither others nor thefts (DS13)', async t => {
  const stream = await openStream(server)
  const { refused: before } = await stream.next()
  const nobody = await server.connect(null, { ALPNProtocols: ['h2'] })
  const alice = await server.connect('alice')
  await nobody.get('/api/whoami', await alice.token())
  await alice.get('/api/whoami', 'x')
  await Promise.all(Array.from({ length: 300 }, () => nobody.get('/api/whoami', 'x')))
  let entries = 0
  const last = await stream.next(line => {
    entries += line.refusals.length
    return line.refused === before + 302
  })
  t.ok(entries < 20, `${entries} entries in all updates`)
  t.match(last.refusals.at(-1), { reason: 'no_certificate', status: 401 })
  const late = await openStream(server)
  const first = await late.next()
  t.equal(first.refused, before + 302)
  const flood = first.refusals.at(-1)
  t.match(flood, { reason: 'no_certificate', client: undefined })
  t.ok(flood.count >= 300)
  t.ok(
    first.refusals.some(({ reason = '' }) => reason === 'token_malformed' || reason === 'bad_signature'),
    'control',
  )
  t.match(first.thefts.at(-1), { reason: 'no_certificate', client: 'alice', suspicion: 'certain', response: 'alert' })
  for (const open of [nobody, alice, stream, late]) open.close()
})

t.test('bounds a flood of different refusals, and counts all', async t => {
  const alice = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const stream = await openStream(server)
  const { refused: before } = await stream.next()
  await Promise.all(Array.from({ length: 150 }, (_, number) => alice.requestToken({ client_id: `invented-${number}` })))
  const last = await stream.next(line => line.refused === before + 150)
  t.match(last.refusals.at(-1).client, /^invented-/)
  const late = await openStream(server)
  t.equal((await late.next()).refusals.length, 100, 'the latest hundred entries')
  for (const open of [alice, stream, late]) open.close()
})

t.test('streams the readiness of the server, and names a wrong ops token', async t => {
  let isServing = false
  const store = openSqlite(':memory:')
  const parts = { store, clients: new ClientRegistry([]), audit: createAudit(() => {}), log: pino({ level: 'silent' }) }
  const state = { clock: Date.now, isServing: () => isServing, isRecording: () => true, token: 'ops-token' }
  const ops = createOpsServer({ ...parts, ...state })
  t.teardown(() => ops.close().then(() => store.close()))
  const own = { ops: { url: await ops.listen({ host: '127.0.0.1', port: 0 }), token: 'ops-token' } }
  const stream = await openStream(own)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const unready = await stream.next(({ status }) => status.isReady === false)
  t.match(unready.status, { version, obstacle: /^The server does not listen|listen/ })
  isServing = true
  t.match(await stream.next(({ status }) => status.isReady), { status: { obstacle: undefined } })
  await fetch(`${own.ops.url}/live`, { headers: { authorization: 'Bearer wrong' } })
  const { refusals } = await stream.next(line => line.refusals.length > 0)
  t.match(refusals, [{ detail: 'ops_token', sentence: 'The token is not the ops token of this server.' }])
  stream.close()
})

t.test('allows eight pages, and another one when one closes', async t => {
  const watching = await Promise.all(Array.from({ length: 8 }, () => openStream(server)))
  for (const stream of watching) await stream.next()
  t.match(await callOps(server, 'GET', '/live'), { status: 429, body: { problems: [/8 pages/] } })
  watching.pop()?.close()
  await untilRoom()
  for (const stream of watching) stream.close()
  await untilRoom() // the server notices their end a little later
})

/** Waits until another page is admitted. */
async function untilRoom(): Promise<void> {
  for (;;) {
    const another = await openStream(server)
    another.close()
    if (another.status === 200) return
    await pause(10)
  }
}

t.test('runs the theft demo once at a time, refuses all thefts, and leaves no connection open', async t => {
  const watching = await openStream(server)
  await watching.next()
  const run = await openStream(server, '/live/thefts', { method: 'POST' })
  t.match(await callOps(server, 'POST', '/live/thefts'), { status: 409, body: { problems: [/already/] } })
  const plays = await run.rest()
  t.equal(plays.length, 13)
  for (const { kind, what, result, seen } of plays)
    t.equal(result, kind === 'control' ? 'accepted' : 'refused', `${what}: ${seen}`)
  t.same(
    new Set(plays.map(({ seen }) => seen)),
    new Set([
      '200',
      '401 certificate_mismatch',
      '401 certificate_untrusted',
      '401 no_certificate',
      '401 connection_mismatch',
      '401 bad_signature',
      '401 client_mismatch',
    ]),
  )
  t.notMatch(run.text() + watching.text(), /eyJ/)
  await watching.next(line => line.total === 0 && line.refused > 0)
  const second = await openStream(server, '/live/thefts', { method: 'POST' })
  await second.next()
  t.ok(server.tls.connections.size > 0)
  second.close()
  await until(() => server.tls.connections.size === 0)
  watching.close()
})

t.test('runs no theft demo without the keys of the demo, and tells the page', async t => {
  const own = await startTestServer({ ops: true, clients: [] })
  t.teardown(() => own.close())
  const stream = await openStream(own)
  t.match(await stream.next(), { canPlay: false })
  t.match(await callOps(own, 'POST', '/live/thefts'), { status: 409, body: { problems: [/tlsbound lab/] } })
  await own.close()
  t.same(await stream.rest().then(lines => lines.length), 1, 'ends the stream when the server closes')
})
