// Invalid requests, and octets that two parsers could read differently: the sidecar answers them with an error response and
// never sends them to the upstream. RFC 9112 §2.2, §3.2, §6, §7.1; GW03, HT04, HT05, HT07, HT12, HT14, HT18, HT21.
import t, { type Test } from 'tap'
import { ask, connectTo, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'

const startEcho = (t: Test) => startUpstream(t, (request, response) => void request.pipe(response))

/** Sends octets over a new connection, and reads until it closes or has `until` responses. */
async function send(t: Test, address: string, bytes: string | readonly string[], until: number | 'closed' = 'closed') {
  const socket = await connectTo(t, address)
  return exchange({ socket } as unknown as Parameters<typeof exchange>[0], bytes, { until })
}

/** A request that an attacker would smuggle: it must never be answered. */
const smuggled = requestText('GET /smuggled', [])
const get = (...headers: string[]) => requestText('GET /first', headers)
const post = (headers: readonly string[], body: string) => requestText('POST /first', headers, body)
const chunked = 'Transfer-Encoding: chunked'

const malformed: Record<string, string> = {
  'a folded header (HT04)': get('X-A: 1\r\n 2'),
  'bare line feeds (HT04)': get().replaceAll('\r\n', '\n'),
  'a carriage return in a value (HT04)': get('X-A: 1\rX-B: 2'),
  'a NUL in a value (HT04)': get('X-A: 1\x002'),
  'a space before the colon (HT04)': get('X-A : 1'),
  'a length and chunks (HT05)': post(['Content-Length: 5', chunked], '0\r\n\r\n'),
  'chunks and a length (HT05)': post([chunked, 'Content-Length: 5'], '0\r\n\r\n'),
  'two lengths (HT05)': post(['Content-Length: 2', 'Content-Length: 0'], '{}'),
  'a length with a sign (HT05)': post(['Content-Length: +2'], '{}'),
  'a hexadecimal length (HT05)': post(['Content-Length: 0x2'], '{}'),
  'chunked, then identity (HT05)': post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
  'an unknown transfer coding (HT05)': post(['Transfer-Encoding: xchunked'], '0\r\n\r\n'),
  'a method in lower case (HT12)': get().replace('GET', 'get'),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a TLS handshake': '\x16\x03\x01\x00\xff\r\n\r\n',
}

t.test('answers malformed requests with 400, closes their connection, and does not forward them', async t => {
  const upstream = await startEcho(t)
  const { address } = await startTestSidecar(t, upstream)
  for (const [name, bytes] of Object.entries(malformed)) {
    const { answers, closed } = await send(t, address, bytes + smuggled)
    t.match({ answers, closed }, { answers: [{ status: 400, body: { error: 'invalid_request' } }], closed: true }, name)
    t.equal(answers.length, 1, `${name}: no smuggled request is answered`)
  }
  t.same(upstream.seen, [])
  const two = await send(t, address, get() + post([chunked], '2\r\n{}\r\n0\r\n\r\n') + smuggled, 3)
  t.match(
    two.answers,
    [{ status: 200 }, { status: 200, text: '{}' }, { status: 200 }],
    'control: well-formed requests in a row',
  )
  t.same(upstream.seen.slice().sort(), ['GET /first', 'GET /smuggled', 'POST /first'])
})

t.test('a malformed body ends its request, and never looks complete to the upstream (HT05)', async t => {
  for (const chunks of [
    '0x2\r\n{}\r\n0\r\n\r\n',
    '2\r\n{}x\r\n0\r\n\r\n',
    '2\n{}\n0\n\n',
    '2 \r\n{}\r\n0\r\n\r\n',
    '2;a=b\n{}\r\n0\r\n\r\n',
  ]) {
    let whole = 0
    const upstream = await startUpstream(t, (request, response) => {
      request.resume().once('end', () => whole++)
      request.once('end', () => response.end())
    })
    const { address } = await startTestSidecar(t, upstream)
    const { answers, closed } = await send(t, address, post([chunked], chunks) + smuggled)
    t.match({ answers, closed }, { answers: [{ status: 400 }], closed: true }, JSON.stringify(chunks))
    t.equal(whole, 0)
    t.notOk(upstream.seen.includes('GET /smuggled'))
  }
})

const refused: readonly (readonly [what: string, line: string, headers: readonly string[], status: number])[] = [
  ['a path that a URL parser takes for a host (GW03)', 'GET //evil.example/', [], 400],
  ['the same with a backslash (GW03)', 'GET /\\evil.example/', [], 400],
  ['the same in absolute form (GW03)', 'GET http://notes//evil.example/', [], 400],
  ['no leading slash (GW03)', 'GET @evil.example/', [], 400],
  ['another scheme (GW03)', 'GET https://evil.example/', [], 400],
  ['a fragment', 'GET /a#b', [], 400],
  ['octets beyond ASCII', 'GET /\xc3\xa9', [], 400],
  ['no resource', 'OPTIONS *', [], 400],
  ['two hosts', 'GET /', ['Host: other'], 400],
  ['TRACE, which would reveal the token (HT12)', 'TRACE /', [], 501],
  ['another protocol (HT14)', 'GET /', ['Connection: Upgrade', 'Upgrade: websocket'], 501],
  ['a tunnel (HT12)', 'CONNECT evil.example:443', [], 501],
  ['another transfer coding around the chunks (HT05)', 'POST /', ['Transfer-Encoding: gzip, chunked'], 501],
  ['an unknown expectation (HT14)', 'GET /', ['Expect: junk'], 417],
]

t.test('rejects requests that cannot be forwarded, and says what to do instead', async t => {
  const upstream = await startEcho(t)
  const { address } = await startTestSidecar(t, upstream)
  for (const [what, line, headers, status] of refused) {
    const { answers } = await send(t, address, requestText(line, headers), 1)
    t.match(
      answers,
      [{ status, body: { error: /^(invalid_request|not_supported)$/, error_description: String } }],
      what,
    )
  }
  const old = await send(t, address, get().replace('HTTP/1.1', 'HTTP/1.0'))
  t.match(old, { answers: [{ status: 505 }], closed: true }, 'HTTP/1.0, in which a truncated response looks complete')
  t.match(
    (await send(t, address, get().replace('Host: localhost\r\n', ''), 1)).answers,
    [{ status: 400 }],
    'a request without Host',
  )
  const long = await send(t, address, get(`X-A: ${'a'.repeat(17_000)}`))
  t.match(long.answers, [{ status: 431, body: { error: 'invalid_request' } }], 'long headers (HT07)')
  t.same(upstream.seen, [])
})

t.test('treats a path that looks like a URL as a path of the upstream (GW03)', async t => {
  const upstream = await startEcho(t)
  const { address } = await startTestSidecar(t, upstream)
  const paths = [
    '/@evil.example',
    '/%40evil',
    '/%2F%2Fevil.example',
    '/http://evil.example/',
    '/?u=//evil.example',
    '/..//evil',
  ]
  for (const path of paths) {
    t.match((await send(t, address, requestText(`GET ${path}`, []), 1)).answers, [{ status: 200 }])
    t.match((await send(t, address, requestText(`GET http://evil.example${path}`, []), 1)).answers, [{ status: 200 }])
  }
  await send(t, address, requestText('GET http://evil.example', []), 1)
  await send(t, address, requestText('GET http://evil.example?q', []), 1)
  t.same(upstream.seen, [...paths.flatMap(path => [`GET ${path}`, `GET ${path}`]), 'GET /', 'GET /?q'])
})

t.test('ignores an offer of HTTP/2 (RFC 9110 §7.8)', async t => {
  const { address } = await startTestSidecar(t, await startEcho(t))
  const offer = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA']
  t.match((await send(t, address, post([...offer, 'Content-Length: 2'], '{}'), 1)).answers, [
    { status: 200, text: '{}' },
  ])
})

t.test('on a port, rejects other host names and requests of web pages', async t => {
  const upstream = await startEcho(t)
  const { address } = await startTestSidecar(t, upstream, { listen: { port: 0 } })
  const { port } = new URL(address)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
    t.match(await ask(address, '/', { headers: { host } }), { status: 200 }, host)
  for (const host of [
    'localhost',
    `evil.example:${port}`,
    `localhost.evil.example:${port}`,
    'localhost:1',
    `a@localhost:${port}`,
  ])
    for (const path of ['/', '/_status'])
      t.match(
        await ask(address, path, { headers: { host } }),
        { status: 421, body: { error: 'invalid_request' } },
        host,
      )
  t.match((await send(t, address, get().replace('localhost', ''), 1)).answers, [{ status: 421 }], 'an empty host')
  t.match(await ask(address, `http://evil.example:${port}/`), { status: 421 }, 'the absolute form overrides Host')
  t.match(await ask(address, `http://localhost:${port}/`, { headers: { host: 'evil.example' } }), { status: 200 })
  for (const headers of [{ origin: 'http://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'same-origin' }])
    for (const path of ['/', '/_status']) t.match(await ask(address, path, { headers }), { status: 403 })
  t.equal(upstream.seen.length, 5)

  const onSocket = await startTestSidecar(t, await startEcho(t))
  const free = { host: 'any.example', origin: 'http://any.example' }
  t.match(await ask(onSocket.address, '/', { headers: free }), { status: 200 }, 'a unix socket accepts such requests')
})

t.test('answers requests in order, whether sent in one piece or octet by octet (HT18)', async t => {
  const { address } = await startTestSidecar(t, await startEcho(t))
  const bodies = Array.from({ length: 100 }, (_empty, index) => String(index))
  const all = bodies.map(body => post([`Content-Length: ${body.length}`], body)).join('')
  const { answers } = await send(t, address, all, 100)
  t.same(
    answers.map(({ text }) => text),
    bodies,
  )
  t.match((await send(t, address, [...post(['Content-Length: 2'], '{}')], 1)).answers, [{ status: 200, text: '{}' }])
})

t.test('rejects too many requests under way with 503, and serves the others (GW04)', async t => {
  let release = () => {}
  const released = new Promise<void>(resolve => (release = resolve))
  const upstream = await startUpstream(t, async (_request, response) => {
    await released
    response.end('late')
  })
  const { address } = await startTestSidecar(t, upstream)
  const first = Array.from({ length: 256 }, () => ask(address, '/'))
  const isFull = async (): Promise<boolean> => (await ask(address, '/_status')).body.requests_under_way === 256
  while (!(await isFull())); // each check is a request, so this ends
  const refusal = { status: 503, headers: { 'retry-after': '1' }, body: { error: 'temporarily_unavailable' } }
  t.match(await ask(address, '/'), refusal)
  release()
  for (const { status, text } of await Promise.all(first))
    if (status !== 200 || text !== 'late') t.fail(`${status} ${text}`)
  t.match(await ask(address, '/'), { status: 200 }, 'requests are accepted again')
})
