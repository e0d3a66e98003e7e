// Access to the ops listener, and what it reports of the server's state.
// OA28, CF01; DNS rebinding.
import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type TAP } from 'tap'
import { createOpsServer } from '../../src/ops/server.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { type Answer, startTestServer, type TestServer } from '../../src/testing/server.ts'
import { at, callOps, type OpsCall, registrationOf } from '../helpers/server/ops.ts'

async function start(options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> {
  const server = await startTestServer({ ops: true, ...options })
  t.teardown(() => server.close())
  return server
}

const server = await start()
const { token = '', url = '' } = server.ops ?? {}
const { port } = new URL(url)
const flipped = (text: string) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')

t.test('listens on loopback only, and only when asked to', async t => {
  t.equal(new URL(url).hostname, '127.0.0.1')
  const silent = await startTestServer()
  t.equal(silent.ops, undefined)
  await silent.close()
  const store = openSqlite(':memory:')
  const audit = createAudit(() => {})
  const parts = { settings: { refreshTokenLifetime: 1 }, store, audit, clients: new ClientRegistry([]), token: 'x' }
  const app = createOpsServer({
    ...parts,
    log: pino({ level: 'silent' }),
    clock: Date.now,
    isServing: () => true,
    isRecording: () => true,
  })
  await app.ready()
  t.equal(app.server.listening, false, 'building it does not start listening')
  await app.close()
  await store.close()
})

type Refused = readonly [name: string, method: string, path: string, call: OpsCall, answer: object]

/** Each refusal has the server's form, exactly one event, no caching, and no other origin can read it. */
async function refuseEach(
  t: Pick<TAP, 'match' | 'same' | 'notMatch' | 'equal'>,
  rows: readonly Refused[],
): Promise<void> {
  for (const [name, method, path, call, expected] of rows) {
    const before = server.events.length
    const answer = await callOps(server, method, path, call)
    const { status, body } = answer
    t.match({ status, body }, expected, name)
    t.match(body, { error_description: String, reason: String }, name)
    t.same(
      Object.keys(answer.headers).filter(header => header.startsWith('access-control')),
      [],
      name,
    )
    t.match(answer.headers, { 'cache-control': 'no-store' }, name)
    t.notMatch(answer.text, token, name)
    const reason = body?.reason
    t.match(server.events.slice(before), [{ event: 'admin.refused', outcome: 'refused', reason, status }], name)
    t.equal(server.events.length, before + 1, name)
  }
}

t.test('accepts only the ops token for administration', async t => {
  t.match(await callOps(server, 'GET', '/admin/clients'), { status: 200 }, 'control')
  t.match(await callOps(server, 'GET', '/admin/clients', { headers: { authorization: `bearer ${token}` } }), {
    status: 200,
  })
  const alice = await server.connect('alice')
  const accessToken = await alice.token()
  const as = (authorization: string | string[] | undefined): OpsCall => ({ headers: { authorization } })
  const none = { status: 401, body: { reason: 'no_token' } }
  const wrong = { status: 401, body: { error: 'invalid_token', reason: 'bad_signature' } }
  const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
  const rows: Refused[] = [
    ['none', 'GET', '/admin/clients', as(undefined), none],
    ['Basic', 'GET', '/admin/clients', as(`Basic ${Buffer.from(`:${token}`).toString('base64')}`), none],
    ['an empty one', 'GET', '/admin/clients', as('Bearer '), malformed],
    ['its last character changed', 'GET', '/admin/clients', as(`Bearer ${flipped(token)}`), wrong],
    ['its beginning', 'GET', '/admin/clients', as(`Bearer ${token.slice(0, -1)}`), wrong],
    ['with more at the end', 'GET', '/admin/clients', as(`Bearer ${token}A`), wrong],
    ['in the wrong case', 'GET', '/admin/clients', as(`Bearer ${token.toLowerCase()}`), wrong],
    ['an access token of a client', 'GET', '/admin/clients', as(`Bearer ${accessToken}`), wrong],
    ['two headers', 'GET', '/admin/clients', as([`Bearer ${token}`, `Bearer ${token}`]), malformed],
    ['in the query', 'GET', `/admin/clients?access_token=${token}`, as(undefined), malformed],
    ['in the query as well', 'GET', `/admin/clients?access_token=${token}`, {}, malformed],
    ['none, for what does not exist', 'GET', '/admin/nothing', as(undefined), none],
    ['none, before any body is read', 'PUT', at('x'), { ...as(undefined), body: '{' }, none],
    ['none, for a preflight', 'OPTIONS', '/admin/clients', as(undefined), none],
  ]
  await refuseEach(t, rows)
  const challenge = await callOps(server, 'GET', '/admin/clients', as(`Bearer ${flipped(token)}`))
  t.match(challenge, {
    headers: { 'www-authenticate': /^Bearer error="invalid_token"/ },
    body: { problems: [/ops token/] },
  })
})

t.test('rejects a request that does not name this machine and the port (DNS rebinding)', async t => {
  const own = ['127.0.0.1', 'localhost', '[::1]', 'LocalHost', 'localhost.', '[0:0::1]', '[::1%25lo]', 'local%68ost']
  for (const host of own.map(name => `${name}:${port}`))
    t.match(await callOps(server, 'GET', '/admin/clients', { headers: { host } }), { status: 200 }, host)
  const misdirected = { status: 421, body: { reason: 'malformed_request' } }
  const malformed = { status: 400, body: { reason: 'malformed_request' } }
  const foreign = [
    ...['attacker.example', `attacker.example:${port}`, `127.0.0.1.attacker.example:${port}`, '127.0.0.1', 'localhost'],
    ...[
      `127.0.0.2:${port}`,
      `0.0.0.0:${port}`,
      `localhost..:${port}`,
      `localhost.attacker.example:${port}`,
      `localhost:`,
      `127.0.0.1:${Number(port) + 1}`,
      `x@127.0.0.1:${port}`,
    ],
    ...['', `[::ffff:127.0.0.1]:${port}`, `127.1:${port}`],
  ]
  const rows = foreign.flatMap((host): Refused[] => [
    [host, 'GET', '/admin/clients', { headers: { host } }, misdirected],
    [host, 'GET', '/ready', { headers: { host } }, misdirected],
  ])
  t.match(
    (await callOps(server, 'GET', '/health', { headers: { host: 'ops.example:8080' } })).body.error_description,
    `does not accept requests for the host ops.example:8080. Send Host: localhost:${port}; through a port forward`,
  )
  t.match(server.events.at(-1), {
    detail: 'host_not_loopback',
    facts: { host: 'ops.example:8080', expected: `localhost:${port}` },
  })
  const two = { headers: { host: [`127.0.0.1:${port}`, 'attacker.example'] } }
  await refuseEach(t, [
    ...rows,
    ['none', 'GET', '/admin/clients', { headers: { host: undefined } }, malformed],
    ['two', 'GET', '/admin/clients', two, malformed],
    ['in the address', 'GET', `http://attacker.example/admin/clients`, {}, malformed],
    ['in the address too', 'GET', `http://127.0.0.1:${port}/admin/clients`, {}, malformed],
  ])
})

t.test('accepts only small JSON bodies and known paths', async t => {
  const good = registrationOf('mallory')
  t.match(await callOps(server, 'PUT', at('mallory'), { body: good }), { status: 201 }, 'control')
  const typed = (type: string | undefined, body: unknown = good): OpsCall => ({
    body,
    headers: { 'content-type': type },
  })
  const unread = { status: 415, body: { error: 'invalid_request', reason: 'malformed_request' } }
  const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
  const big = JSON.stringify({ ...good, client_name: 'x'.repeat(70_000) })
  await refuseEach(t, [
    ['text', 'PUT', at('mallory'), typed('text/plain'), unread],
    ['a form', 'POST', '/admin/revocations', typed('application/x-www-form-urlencoded', 'kind=all'), unread],
    ['no type', 'PUT', at('mallory'), typed(undefined), unread],
    ['another charset', 'PUT', at('mallory'), typed('application/json; charset=utf-16'), unread],
    ['packed', 'PUT', at('mallory'), { body: good, headers: { 'content-encoding': 'gzip' } }, unread],
    ['too large', 'PUT', at('mallory'), { body: big }, { status: 413, body: { reason: 'malformed_request' } }],
    ['broken', 'PUT', at('mallory'), { body: '{"client_id":' }, malformed],
    ['empty', 'PUT', at('mallory'), { body: '' }, malformed],
    ['none', 'PUT', at('mallory'), {}, malformed],
    ['a prototype', 'PUT', at('mallory'), { body: '{"__proto__":{"client_id":"mallory"}}' }, malformed],
    ['unknown', 'GET', '/admin/nothing', {}, { status: 404, body: { reason: 'malformed_request' } }],
    ['a trailing slash', 'GET', '/admin/clients/', {}, { status: 404 }],
    ['another method', 'POST', '/admin/clients', {}, { status: 405 }],
    ['a preflight', 'OPTIONS', '/admin/clients', {}, { status: 405 }],
    ['no percent code', 'GET', '/admin/clients/%zz', {}, malformed],
    ['a name too long', 'GET', at('x'.repeat(600)), {}, malformed],
  ])
  t.match((await callOps(server, 'GET', at('mallory'))).body, { registration: good }, 'nothing has changed')
})

t.test('refuses bytes that are not a request, with one event', async t => {
  const before = server.events.length
  const text = await new Promise<string>(resolve => {
    let received = ''
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('\x16\x03\x01 this is TLS\r\n\r\n'))
    socket.on('data', chunk => (received += chunk)).on('close', () => resolve(received))
  })
  t.match(text, /^HTTP\/1\.1 400 .*"reason":"malformed_request"\}$/s)
  t.match(server.events.slice(before), [{ event: 'connection.refused', reason: 'malformed_request' }])
})

t.test('serves health and readiness without a token and without events', async t => {
  const before = server.events.length
  for (const path of ['/health', '/ready'])
    t.match(
      await callOps(server, 'GET', path, { headers: { authorization: undefined } }),
      { status: 200, headers: { 'cache-control': 'no-store' }, body: { status: String } },
      path,
    )
  t.equal(server.events.length, before)
})

t.test('reports ready while decisions can be made, and alive always', async t => {
  const real = openSqlite(':memory:')
  let silence = 0
  const server = await start({ store: { ...real, millisecondsSinceSync: () => silence } })
  const ask = async (): Promise<[Answer, Answer]> => [
    await callOps(server, 'GET', '/ready', { headers: { authorization: undefined } }),
    await callOps(server, 'GET', '/health', { headers: { authorization: undefined } }),
  ]
  const alive = { status: 200 }
  const unready = { status: 503, headers: { 'retry-after': /\d/ }, body: { reason: 'store_unavailable' } }
  t.match(await ask(), [{ status: 200 }, alive], 'control')
  for (const milliseconds of [5001, Number.POSITIVE_INFINITY]) {
    silence = milliseconds
    t.match(await ask(), [unready, alive], `no contact to the store for ${milliseconds} ms`)
  }
  silence = 5000
  t.match(await ask(), [{ status: 200 }, alive], 'ready again')
  await real.close()
  t.match(await ask(), [unready, alive], 'the store does not respond')
  t.match(server.log.join(''), /not ready/, 'the log has the reason')
  t.notMatch((await ask())[0].text, /database|sqlite/i, 'the response does not')
  t.match(
    await callOps(server, 'PUT', at('mallory'), { body: registrationOf('mallory') }),
    { status: 503, body: { error: 'temporarily_unavailable', reason: 'store_unavailable' } },
    'a change that cannot be stored is refused',
  )
})

t.test('is not ready before its listener accepts connections, nor after', async t => {
  const server = await start()
  t.match(await callOps(server, 'GET', '/ready'), { status: 200 }, 'control')
  await server.app.close()
  t.match(await callOps(server, 'GET', '/ready'), { status: 503 })
  t.match(await callOps(server, 'GET', '/health'), { status: 200 })
})
