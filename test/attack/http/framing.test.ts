// Requests whose end two parsers could see in different places, sent as bytes: refused, and the connection closed, so that no
// bytes behind them count as a request. RFC 9112 §2.2, §3.2, §5, §6, §7.1; HT04, HT05, HT07, HT18.
import t from 'tap'
import { type Answer, startTestServer } from '../../../src/testing/server.ts'
import { exchange, exchangeOnce, requestText } from '../../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const alice = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const authorization = `Authorization: Bearer ${token}`
const json = 'Content-Type: application/json'
const chunked = 'Transfer-Encoding: chunked'

const get = (...headers: string[]) => requestText('GET /api/whoami', [authorization, ...headers])
const post = (headers: readonly string[], body: string) =>
  requestText('POST /api/notes', [authorization, json, ...headers], body)
/** The request that an attacker hides behind the first one: it must never be answered. */
const smuggled = requestText('GET /api/notes', [authorization])

t.test('answers the same requests in their valid form (control)', async t => {
  for (const bytes of [
    get(),
    post(['Content-Length: 13'], '{"text":"hi"}'),
    post([chunked], 'd\r\n{"text":"hi"}\r\n0\r\n\r\n'),
  ]) {
    const { answers, closed } = await exchangeOnce(server, bytes + smuggled, { until: 2 })
    t.match(
      { answers, closed },
      { answers: [{ status: /20[01]/ }, { status: 200, body: { notes: [] } }], closed: false },
    )
  }
})

const malformed: Record<string, string> = {
  'a folded header (HT04)': get('X-A: 1\r\n 2'),
  'a folded Authorization header (HT04)': requestText('GET /api/whoami', [`Authorization: Bearer\r\n ${token}`]),
  'bare line feeds (HT04)': get().replaceAll('\r\n', '\n'),
  'one bare line feed (HT04)': get().replace('localhost\r\n', 'localhost\n'),
  'a carriage return in a value (HT04)': get('X-A: 1\rX-B: 2'),
  'a NUL in a value (HT04)': get('X-A: 1\x002'),
  'a space before the colon (HT04)': get('X-A : 1'),
  'a header without name (HT04)': get(': 1'),
  'a header without colon (HT04)': get('X-A'),
  'a space before the first header (HT04)': get().replace('Host:', ' Host:'),
  'Content-Length and Transfer-Encoding (HT05)': post(['Content-Length: 5', chunked], '0\r\n\r\n'),
  'Transfer-Encoding and Content-Length (HT05)': post([chunked, 'Content-Length: 5'], '0\r\n\r\n'),
  'two equal lengths (HT05)': post(['Content-Length: 13', 'Content-Length: 13'], '{"text":"hi"}'),
  'two different lengths (HT05)': post(['Content-Length: 13', 'Content-Length: 0'], '{"text":"hi"}'),
  'a list of lengths (HT05)': post(['Content-Length: 13, 13'], '{"text":"hi"}'),
  'a length with a sign (HT05)': post(['Content-Length: +2'], '{}'),
  'a negative length (HT05)': post(['Content-Length: -2'], '{}'),
  'a hexadecimal length (HT05)': post(['Content-Length: 0x2'], '{}'),
  'a length beyond 64 bits (HT05)': post(['Content-Length: 99999999999999999999'], '{}'),
  'chunked, then identity (HT05)': post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
  'two Transfer-Encoding headers (HT05)': post([chunked, 'Transfer-Encoding: identity'], '0\r\n\r\n'),
  'an unknown transfer coding (HT05)': post(['Transfer-Encoding: xchunked'], '0\r\n\r\n'),
  'identity (HT05)': post(['Transfer-Encoding: identity'], '{"text":"hi"}'),
  'a chunk size with 0x (HT05)': post([chunked], '0xd\r\n{"text":"hi"}\r\n0\r\n\r\n'),
  'a chunk size with a sign (HT05)': post([chunked], '+d\r\n{"text":"hi"}\r\n0\r\n\r\n'),
  'a chunk size with a space (HT05)': post([chunked], 'd \r\n{"text":"hi"}\r\n0\r\n\r\n'),
  'a chunk size beyond 64 bits (HT05)': post([chunked], 'fffffffffffffffff\r\n{"text":"hi"}\r\n0\r\n\r\n'),
  'a chunk extension that ends with a line feed (HT04)': post([chunked], 'd;a=b\n{"text":"hi"}\r\n0\r\n\r\n'),
  'chunks with bare line feeds (HT04)': post([chunked], 'd\n{"text":"hi"}\n0\n\n'),
  'a chunk that is longer than its size (HT05)': post([chunked], '2\r\n{"text":"hi"}\r\n0\r\n\r\n'),
  'a chunk extension of 20 KB (HT05)': post([chunked], `d;${'a'.repeat(20_000)}\r\n{"text":"hi"}\r\n0\r\n\r\n`),
  'a method in lower case (HT12)': get().replace('GET', 'get'),
  'a method that does not exist': get().replace('GET', 'FOO'),
  'a version that does not exist': get().replace('HTTP/1.1', 'HTTP/1.2'),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'no HTTP at all': '\x16\x03\x01\x00\xff\r\n\r\n',
}

for (const [name, bytes] of Object.entries(malformed))
  t.test(`answers 400 and closes the connection: ${name}`, async t => {
    const { answers, closed } = await exchangeOnce(server, bytes + smuggled, { until: 'closed' })
    t.match({ answers, closed }, { answers: [{ status: 400 }], closed: true })
    t.equal(answers.length, 1, 'the hidden request is never answered')
  })

t.test('answers 431 to headers beyond 16 KB, with or without an Authorization header behind them (HT07)', async t => {
  const long = requestText('GET /api/whoami', [`X-A: ${'a'.repeat(17 * 1024)}`, authorization])
  const many = requestText('GET /api/whoami', [...Array<string>(2100).fill('A: b'), authorization])
  for (const bytes of [long, many]) {
    const { answers, closed } = await exchangeOnce(server, bytes, { until: 'closed' })
    t.match({ answers, closed }, { answers: [{ status: 431 }], closed: true })
  }
  const fits = requestText('GET /api/whoami', [`X-A: ${'a'.repeat(14 * 1024)}`, authorization])
  t.match((await exchangeOnce(server, fits, { until: 1 })).answers, [{ status: 200 }], 'control: 14 KB')
})

t.test('answers malformed HTTP with the common error body and one security event (I7, LK02)', async t => {
  for (const [name, bytes] of [
    ['a space before the colon', get('X-A : 1')],
    ['two framings', post(['Content-Length: 5', chunked], '0\r\n\r\n')],
    ['an invalid chunk size', post([chunked], '0xd\r\n')],
    ['headers of 17 KB', requestText('GET /api/whoami', [`X-A: ${'a'.repeat(17 * 1024)}`])],
    ['no Host', get().replace('Host: localhost\r\n', '')],
    ['an unknown expectation', get('Expect: junk')],
  ] as const) {
    const before = server.events.length
    const { answers } = await exchangeOnce(server, bytes, { until: 1 })
    const body = { error: 'invalid_request', error_description: String, reason: 'malformed_request' }
    t.match(answers, [{ status: Number, body }], name)
    t.match(server.events.slice(before), [{ outcome: 'refused', reason: 'malformed_request' }], `${name}: its event`)
    t.equal(server.events.length, before + 1, `${name}: one event`)
  }
})

t.test('ignores a well-formed chunk extension (RFC 9112 §7.1.1)', async t => {
  const { answers } = await exchangeOnce(server, post([chunked], 'd;a=b;c="d"\r\n{"text":"hi"}\r\n0\r\n\r\n'), {
    until: 1,
  })
  t.match(answers, [{ status: 201, body: { text: 'hi' } }])
})

t.test('ignores an Authorization header in the trailer', async t => {
  const body = `d\r\n{"text":"hi"}\r\n0\r\n${authorization}\r\n\r\n`
  const bytes = requestText('POST /api/notes', [json, chunked, 'Trailer: Authorization'], body)
  t.match((await exchangeOnce(server, bytes, { until: 1 })).answers, [{ status: 401, body: { reason: 'no_token' } }])
})

t.test('requires exactly one Host header (RFC 9112 §3.2)', async t => {
  t.match((await exchangeOnce(server, get(), { until: 1 })).answers, [{ status: 200 }], 'control')
  t.match(
    (await exchangeOnce(server, get('Host: localhost'), { until: 1 })).answers,
    [{ status: 400 }],
    'the same twice',
  )
  t.match((await exchangeOnce(server, get('Host: evil.example'), { until: 1 })).answers, [{ status: 400 }], 'another')
  const none = get().replace('Host: localhost\r\n', '')
  t.match((await exchangeOnce(server, none, { until: 1 })).answers, [{ status: 400 }], 'none')
})

t.test('uses the host of an absolute target instead of the Host header (RFC 9112 §3.2.2)', async t => {
  const to = (target: string) => get().replace('/api/whoami', target)
  const own = `https://localhost:${server.port}/api/whoami`
  t.match((await exchangeOnce(server, to(own), { until: 1 })).answers, [{ status: 200 }], 'control')
  const foreign = await exchangeOnce(server, to('https://evil.example/api/whoami'), { until: 1 })
  t.match(foreign.answers, [{ status: 421, body: { reason: 'malformed_request' } }])
})

t.test('answers pipelined requests, and a request sent byte by byte, in order (HT18)', async t => {
  const connection = await server.connect('alice')
  const mixed = `${requestText('GET /api/whoami', [])}${get()}`.repeat(50)
  const { answers } = await exchange(connection, mixed, { until: 100 })
  t.same(
    answers.map(({ status }) => status),
    Array(50).fill([401, 200]).flat(),
    'each request by its own token',
  )
  t.match((await exchange(connection, [...get()], { until: 1 })).answers, [{ status: 200 }], 'a byte at a time')
})

// Node ends a TLS connection whose pipelined responses fill its buffer (HPE_PAUSED), and answers 400 at its end.
t.test('ends a flood of pipelined requests in bounded memory, without affecting other clients (HT18)', async t => {
  const before = process.memoryUsage.rss()
  const { answers } = await exchangeOnce(server, get().repeat(10_000), { until: 10_000, limit: 8000 })
  const isOwn = ({ status, body }: Answer) => status === 200 && body.client_id === 'alice'
  t.ok(answers.length > 100 && answers.slice(0, -1).every(isOwn))
  t.ok(process.memoryUsage.rss() - before < 256 * 1024 * 1024)
  t.match(await alice.get('/api/whoami', token), { status: 200 }, 'another connection is served as before')
})
