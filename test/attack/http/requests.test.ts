// Invalid methods, paths and headers: refused before anything is done, by status and reason. Claims in headers are ignored.
// HT12–HT14, HT19, HT21, HT22, HT24, HT25, OA28, LK02, LK06, LK10.
import { METHODS } from 'node:http'
import t from 'tap'
import { type Answer, type Call, startTestServer } from '../../../src/testing/server.ts'
import { exchange, exchangeOnce, requestHttp2, requestText } from '../../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const alice = await server.connect('alice')
const raw = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const authorization = `Authorization: Bearer ${token}`
const protocols = ['http/1.1', 'h2']
const answers: Answer[] = []

/** A malformed body ends its connection, so each call opens one. */
const call = async (path: string, request: Call, protocol = 'http/1.1'): Promise<Answer> => {
  const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
  const answer = await connection.call(path, request).finally(() => connection.close())
  answers.push(answer)
  return answer
}
const send = async (line: string, headers: readonly string[], body = ''): Promise<Answer | undefined> => {
  const [answer] = (await exchange(raw, requestText(line, headers, body), { until: 1 })).answers
  if (answer !== undefined && !line.startsWith('HEAD')) answers.push(answer)
  return answer
}
const postNote = (body: string, headers: Call['headers'] = {}, protocol?: string) =>
  call(
    '/api/notes',
    { method: 'POST', token, headers: { 'content-type': 'application/json', ...headers }, body },
    protocol,
  )
const refused = (status: number) => ({ status, body: { error: 'invalid_request', reason: 'malformed_request' } })
const noToken = { status: 401, body: { error: undefined, reason: 'no_token' } }
const methods = METHODS.filter(method => method !== 'CONNECT')

// Started here and checked at the end: the limit for headers is 10 s, enforced every 2 s.
const slow = await server.connect('alice')
const slowHeaders = exchange(slow, 'GET /api/whoami HTTP/1.1\r\nHost: localhost\r\nX-A: ', {
  until: 'closed',
  limit: 20_000,
})
slowHeaders.catch(() => {}) // the last test checks it

t.test(
  'answers 401 without a token to every method and path below /api, before 404, 405 and 415 (HT12, HT25, N-14)',
  async t => {
    for (const path of ['/api/whoami', '/api/notes', '/api/nothing', '/api/notes/1', '/api/whoami/', '/api/', '/api'])
      for (const method of methods) {
        const answer = await send(`${method} ${path}`, ['Content-Length: 0'])
        t.match(answer, method === 'HEAD' ? { status: 401 } : noToken, `${method} ${path}`)
      }
    for (const protocol of protocols)
      for (const body of ['{', '{"text":"hi"}', 'x'.repeat(70_000)]) {
        const headers = { 'content-type': body === '{' ? 'text/plain' : 'application/json' }
        t.match(await call('/api/notes', { method: 'POST', headers, body }, protocol), noToken, 'whatever the body')
      }
  },
)

t.test('requires a token for an undecodable path, and does not echo the path (HT25, LK02, OA30)', async t => {
  for (const protocol of protocols) {
    const before = server.events.length
    const answer = await call(`/api/%zz?access_token=${token}`, {}, protocol)
    t.match(answer, { status: /40[01]/, body: { reason: /no_token|malformed_request/ } })
    t.notOk(answer.text.includes(token), 'the token is not echoed')
    t.notMatch(answer.text, /%zz|FST_/)
    t.equal(server.events.length, before + 1)
  }
})

t.test('answers 404 to a path in the form of a route pattern (HT25)', async t => {
  for (const path of [
    '/:',
    '/:(',
    '/:a(',
    '/:a([)',
    '/:a(^.*$',
    '/a:(b',
    '/(',
    '/*',
    '/a*b',
    '/:a(\\',
    '/::',
    '/:a(((.*)*)*)',
  ])
    for (const method of ['GET', 'POST', 'DELETE'])
      t.match(await call(path, { method }), refused(404), `${method} ${path}`)
  t.match(await call('/oauth/token', { method: 'DELETE' }), refused(405), 'control: a path that exists')
})

t.test('answers 405 with Allow to a method that a path does not support, TRACE included (HT12)', async t => {
  t.match(await send('GET /api/whoami', [authorization]), { status: 200, body: { client_id: 'alice' } }, 'control')
  t.match(await send('HEAD /api/whoami', [authorization]), { status: 200, headers: { 'content-length': /^\d+$/ } })
  const isOther = (method: string) => !['GET', 'HEAD', 'QUERY'].includes(method)
  for (const method of methods.filter(isOther))
    t.match(
      await send(`${method} /api/whoami`, [authorization]),
      { ...refused(405), headers: { allow: 'GET, HEAD' } },
      method,
    )
  t.match(await send('DELETE /api/notes', [authorization]), {
    ...refused(405),
    headers: { allow: 'GET, HEAD, POST' },
  })
  t.match(
    await send('QUERY /api/whoami', [authorization]),
    refused(400),
    'a QUERY without content type is malformed first',
  )
  t.match(await send('DELETE /api/nothing', [authorization]), refused(404))
})

t.test('opens no tunnel for CONNECT (HT12)', async t => {
  for (const target of ['/api/whoami', 'localhost:443', `localhost:${server.port}`]) {
    const { received, closed } = await exchangeOnce(server, requestText(`CONNECT ${target}`, [authorization]), {
      until: 'closed',
    })
    t.ok(closed)
    t.notMatch(received, /^HTTP\/1.1 2/)
  }
})

t.test('rejects an unknown method over HTTP/2 too, without flooding the log (HT12, LK03)', async t => {
  const lines = server.log.length
  for (const method of ['FOO', 'get', 'constructor']) {
    const before = server.events.length
    const answer = await requestHttp2(server, [
      [':method', method],
      [':path', '/api/whoami'],
      ['authorization', `Bearer ${token}`],
    ])
    t.match(answer, { status: /40[0145]|501/ }, method)
    t.equal(server.events.length, before + 1)
  }
  t.same(server.log.slice(lines), [])
})

t.test('ignores method override headers (HT13)', async t => {
  for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override', '_method']) {
    t.match(await alice.call('/api/notes', { token, headers: { [name]: 'DELETE' } }), { status: 200 }, name)
    const headers = { [name]: 'GET' }
    t.match(await call('/api/whoami', { method: 'DELETE', token, headers, body: '' }), refused(405), name)
  }
})

t.test('answers 417 to an unknown expectation, and requires a token before 100-continue (HT14)', async t => {
  const note = ['Content-Type: application/json', 'Content-Length: 13']
  const expecting = (value: string, ...headers: string[]) =>
    exchangeOnce(server, requestText('POST /api/notes', [...note, `Expect: ${value}`, ...headers], '{"text":"hi"}'), {
      until: 1,
    })
  t.match((await expecting('100-continue', authorization)).answers, [{ status: 201 }], 'control')
  t.match((await expecting('junk', authorization)).answers, [{ status: 417 }])
  t.match((await expecting('junk')).answers, [{ status: /401|417/ }])
  t.match((await expecting('100-continue')).answers, [noToken])
})

t.test('ignores an upgrade, and answers the request as it is (HT14)', async t => {
  for (const upgrade of [
    [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ],
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ]) {
    t.match(await send('GET /api/whoami', upgrade), noToken)
    t.match(await send('GET /api/whoami', [...upgrade, 'Authorization: Bearer x']), { status: 401 })
    t.match(await send('GET /api/whoami', [...upgrade, authorization]), { status: 200, body: { client_id: 'alice' } })
  }
})

t.test('forbids caches to store protected responses, refusals included (HT19)', async t => {
  const fresh = { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString(), range: 'bytes=0-1' }
  t.match(await alice.call('/api/whoami', { token, headers: fresh }), { status: 200 }, 'no 304 and no 206')
  const seen = [
    await alice.get('/api/whoami', token),
    await alice.get('/api/notes', token),
    await alice.get('/api/whoami'),
    await alice.get('/api/whoami?access_token=x'),
    await alice.get('/api/nothing', token),
    await postNote('{"text":"hi"}'),
    await postNote('{'),
    await postNote('{}', { 'content-type': 'text/plain' }),
    await call('/api/whoami', { method: 'DELETE', token, body: '' }),
  ]
  t.same(
    seen.map(({ status }) => status),
    [200, 200, 401, 400, 404, 201, 400, 415, 405],
  )
  for (const { status, headers } of seen)
    t.match(headers, { 'cache-control': 'no-store', vary: 'authorization', etag: undefined }, String(status))
})

t.test('records the peer and a request id of its own, whatever the headers contain (HT22, HT24)', async t => {
  const claims = {
    'x-forwarded-for': '203.0.113.7',
    'x-real-ip': '203.0.113.7',
    forwarded: 'for=203.0.113.7;proto=http',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
    'x-request-id': `evil${'x'.repeat(10_000)}`,
    'request-id': 'evil',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  }
  t.match(await alice.call('/api/whoami', { headers: claims }), noToken)
  const event = server.events.at(-1)
  t.match(event, { peer: '127.0.0.1', peer_port: alice.socket.localPort, request_id: /^[\w-]{1,40}$/ })
  t.notMatch(JSON.stringify(event), /evil|203\.0\.113|4bf92f/)
  const { answers: injected } = await exchangeOnce(
    server,
    requestText('GET /api/whoami', ['X-Request-Id: a\x1b[31m', 'X-Request-Id: b']),
    { until: 1 },
  )
  t.match(injected, [{ status: /40[01]/ }])
  t.notMatch(JSON.stringify(server.events.at(-1)), /31m/)
})

t.test('grants no CORS access to any origin (OA28)', async t => {
  const origin = 'Origin: https://evil.example'
  for (const path of [
    '/oauth/token',
    '/oauth/jwks',
    '/api/whoami',
    '/binding',
    '/.well-known/oauth-authorization-server',
  ])
    for (const answer of [
      await send(`OPTIONS ${path}`, [origin, 'Access-Control-Request-Method: POST']),
      await send(`GET ${path}`, [origin, authorization]),
    ])
      t.same(
        Object.keys(answer?.headers ?? { none: 1 }).filter(name => /^access-control|^none/.test(name)),
        [],
        path,
      )
})

t.test('serves no diagnostic pages on this listener (LK06)', async t => {
  for (const path of [
    '/metrics',
    '/health',
    '/ready',
    '/debug',
    '/debug/pprof',
    '/status',
    '/documentation',
    '/demo/token-cookie',
  ])
    t.match(await send(`GET ${path}`, [authorization]), refused(404), path)
})

t.test('reveals no software names or internal errors in any response (LK02, LK10)', t => {
  t.ok(answers.length > 250)
  for (const { status, headers, body, text } of answers) {
    const names = Object.keys(headers).filter(name => /^server$|^x-|^via$/.test(name))
    if (names.length > 0) t.fail(`header ${names}`)
    if (status < 400) continue
    const members = Object.keys(body ?? { none: 1 })
    if (members.some(member => !['error', 'error_description', 'reason'].includes(member))) t.fail(text.slice(0, 80))
    if (/FST_|node_modules|\.ts\b|\.js\b| {4}at |Error:|sqlite/i.test(text)) t.fail(text.slice(0, 80))
  }
  t.end()
})

t.test('closes connections whose headers do not end within the limit (HT21)', async t => {
  const { closed, answers: last } = await slowHeaders
  t.ok(closed)
  t.notMatch(last, [{ status: 200 }])
})
