// Every detail of malformed_request with a request that causes it. The client and the event learn which parameter, header
// or octet is wrong. A detail without a row here fails.
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type DetailOf, details, type RefusalFacts } from '../../src/core/details.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { floodBudget } from '../../src/tls/http2-floods.ts'
import { callOps } from '../helpers/server/ops.ts'
import { thumbprintOf } from '../helpers/server/proxies.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { buildFrame, frameTypes, openRawHttp2 } from '../helpers/server/raw-http2.ts'
import { claimsOf, register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)

type Detail = DetailOf<'malformed_request'>

interface Row {
  /** An HTTP/1.1 request as alice, or a function that causes the refusal. */
  readonly send: string | (() => Promise<unknown>)
  /** 0: no response, or the response to an earlier request. */
  readonly status?: number
  /** Part of `error_description`. */
  readonly told: string
  readonly facts?: RefusalFacts
}

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const alices = register('alice', { grant_types: ['client_credentials', 'refresh_token', exchangeGrant] })
const routesFile = join(t.testdir(), 'routes.json')
writeFileSync(routesFile, JSON.stringify([{ path: '/x', upstream: 'unix:/nowhere/socket' }]))
const server = await startTestServer({
  env: { TLSBOUND_GATEWAY_FILE: routesFile, TLSBOUND_PROXY_PROTOCOL_FROM: '127.0.0.2' },
  ops: true,
  clients: [alices, register('bob', { token_endpoint_auth_method: 'client_secret_basic' })],
  tls: { clientCertFrom: [], timeouts: { headers: 2, request: 2, idle: 60 } },
  routes: app =>
    void app.get('/conflict', () => {
      throw Object.assign(new Error('not told'), { statusCode: 409, code: 'CONFLICT' })
    }),
})
t.teardown(() => server.close())
const alice = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const formType = 'application/x-www-form-urlencoded'
const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
const good = 'grant_type=client_credentials&client_id=alice'
const bearer = `Authorization: Bearer ${token}`

const post = (path: string, type: string, body: string, ...headers: string[]) =>
  requestText(
    `POST ${path}`,
    [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`, ...headers],
    body,
  )
const form = (body: string, ...headers: string[]) => post('/oauth/token', formType, body, ...headers)
const note = (body: string, ...headers: string[]) => post('/api/notes', 'application/json', body, bearer, ...headers)
const get = (target: string, ...headers: string[]) => requestText(`GET ${target}`, headers)
const exchangeForm = (more: string) => form(`grant_type=${exchangeGrant}&client_id=alice&${more}`)
const chunked = (chunks: string) =>
  requestText('POST /oauth/token', [`Content-Type: ${formType}`, 'Transfer-Encoding: chunked'], chunks)

/** Sends octets as alice, then half-closes the connection. */
async function sendAndEnd(bytes: string) {
  const connection = await server.connect('alice')
  const answered = exchange(connection, bytes, { until: 1 })
  connection.socket.end()
  return answered
}

/** Sends octets without TLS, and waits until the connection is closed. */
const sendPlain = (octets: string, port: number, localAddress: string) =>
  new Promise<void>(resolve => {
    const socket = connect({ port, host: '127.0.0.1', localAddress }, () => socket.write(octets, 'latin1'))
    socket
      .on('error', () => {})
      .resume()
      .once('close', resolve)
  })

/** Sends octets to the ops listener, which uses HTTP without TLS. */
const toOps = (octets: string) => sendPlain(octets, Number(new URL(server.ops?.url as string).port), '127.0.0.1')

/** Sends octets to the mutual-TLS listener in place of a handshake; 127.0.0.2 is a load balancer. */
const beforeTls = (octets: string, from: string) => sendPlain(octets, server.port, from)

const rows: Readonly<Record<Detail, Row | readonly Row[]>> = {
  parameter_missing: [
    { send: form('grant_type=client_credentials'), told: 'client_id is missing', facts: { parameter: 'client_id' } },
    { send: form('client_id=alice'), told: 'grant_type is missing', facts: { parameter: 'grant_type' } },
    { send: post('/oauth/revoke', formType, 'client_id=alice'), told: 'token is missing' },
    { send: post('/oauth/introspect', formType, 'client_id=alice'), told: 'token is missing' },
  ],
  parameter_empty: [
    {
      send: form('grant_type=client_credentials&client_id='),
      told: 'client_id is empty',
      facts: { parameter: 'client_id' },
    },
    { send: form('grant_type&client_id=alice'), told: 'grant_type is empty' },
    { send: form('grant_type=refresh_token&client_id=alice&refresh_token='), told: 'refresh_token is empty' },
    { send: post('/oauth/revoke', formType, 'client_id=alice&token='), told: 'token is empty' },
  ],
  parameter_repeated: [
    { send: form(`${good}&scope=a&scope=b`), told: 'scope occurs more than once', facts: { parameter: 'scope' } },
    { send: form(`${good}&x=&x=`), told: 'x occurs more than once' },
    {
      send: form(`${good}&%22%3E=1&%22%3E=1`),
      told: 'The parameter occurs more than once',
      facts: { parameter: '">' },
    },
  ],
  parameter_encoding: [
    {
      send: form(`${good}&scope=%zz`),
      told: 'The encoding of the parameter scope is invalid: it contains a percent sign',
      facts: { parameter: 'scope' },
    },
    { send: form(`${good}&scope=%`), told: 'a percent sign without two hexadecimal digits' },
    { send: form(`${good}&scope=a%00b`), told: 'it contains NUL' },
    { send: form(`${good}&scope=a\0b`), told: 'it contains NUL' },
    { send: form(`${good}&scope=%e9`), told: 'it contains octets that are not UTF-8' },
    { send: form(`${good}&scope=\xe9`), told: 'it contains octets that are not UTF-8' },
    { send: form(`${good}&scope=%ed%a0%80`), told: 'it contains octets that are not UTF-8' },
    {
      send: form(`${good}&%ff=1`),
      told: 'The encoding of the parameter is invalid: it contains octets that are not UTF-8',
    },
  ],
  parameter_too_long: {
    send: form(`${good}&scope=${'x'.repeat(8193)}`),
    told: 'scope is longer than 8192 characters',
    facts: { parameter: 'scope', found: 8193, limit: 8192 },
  },
  parameter_invalid: {
    send: exchangeForm('subject_token=x&subject_token_type=x'),
    told: 'subject_token_type is not supported',
  },
  parameter_not_supported: { send: form(`${good}&client_secret=x`), told: 'client_secret is not supported here' },
  query_not_allowed: { send: post('/oauth/token?a=b', formType, good), told: 'The request has a query' },
  token_in_query: { send: get(`/api/whoami?access_token=x`), told: 'The query contains an access_token' },
  authorization_repeated: { send: get('/api/whoami', bearer, bearer), told: 'more than one Authorization header' },
  authorization_malformed: [
    {
      send: get('/api/whoami', 'Authorization: Bearer a b'),
      told: 'The Authorization header is malformed: it has a space, a comma or another character that no token has.',
    },
    { send: get('/api/whoami', 'Authorization: Bearer'), told: 'it has no token.', facts: { found: 'no token' } },
    { send: get('/api/whoami', `Authorization: Bearer  ${token}`), told: 'it has more than one space' },
    { send: get('/api/whoami', `Authorization: Bearer ${token},`), told: 'a comma' },
    {
      send: form('grant_type=client_credentials&client_id=bob', 'Authorization: Basic !'),
      told: 'it has no valid Basic credentials.',
    },
  ],
  authorization_not_expected: {
    send: form(good, 'Authorization: Basic YWxpY2U6eA=='),
    told: 'not registered for a secret',
  },
  client_id_differs: {
    send: form(good, 'Authorization: Basic Ym9iOng='),
    told: 'client_id in the form differs from the one',
    facts: { found: 'bob' },
  },
  header_repeated: [
    {
      send: form(good, `Content-Type: ${formType}`),
      told: 'Content-Type occurs more than once',
      facts: { header: 'Content-Type' },
    },
    { send: form(good, 'Content-Type: application/json'), told: 'Content-Type occurs more than once' },
    { send: note('{}', 'Content-Type: text/plain'), status: 415, told: 'Content-Type occurs more than once' },
  ],
  content_type_missing: [
    {
      send: requestText('POST /oauth/token', [`Content-Length: ${good.length}`], good),
      told: `Send the body as ${formType}`,
    },
    {
      send: requestText('POST /api/notes', [bearer, 'Content-Length: 2'], '{}'),
      status: 415,
      told: 'Send the body as application/json',
    },
  ],
  content_type: [
    {
      send: post('/oauth/token', 'application/json', '{}'),
      told: `This endpoint does not accept the Content-Type application/json. Send the body as ${formType}`,
      facts: { found: 'application/json', expected: formType },
    },
    { send: post('/oauth/revoke', 'multipart/form-data; boundary=x', good), told: `Send the body as ${formType}` },
    { send: post('/oauth/introspect', 'text/plain;x="', good), told: `Send the body as ${formType}` },
    { send: post('/api/notes', 'text/plain', '{}', bearer), status: 415, told: 'Send the body as application/json' },
  ],
  charset: [
    {
      send: post('/oauth/token', `${formType}; charset=utf-16`, good),
      told: 'charset utf-16 of the Content-Type is not supported. Send the body in UTF-8',
    },
    {
      send: post('/oauth/token', `${formType}; charset=UTF-8; charset="ISO-8859-1"`, good),
      told: 'charset iso-8859-1',
    },
    { send: post('/api/notes', 'application/json; charset=utf-16', '{}', bearer), status: 415, told: 'charset utf-16' },
  ],
  content_encoding: [
    { send: form(good, 'Content-Encoding: gzip'), told: 'Content-Encoding gzip', facts: { found: 'gzip' } },
    { send: note('{}', 'Content-Encoding: br'), status: 415, told: 'Content-Encoding br' },
  ],
  body_empty: { send: note(''), told: 'The request has no body' },
  body_not_utf8: { send: note('{"text":"\xe9"}'), told: 'not valid UTF-8' },
  body_not_json: [
    { send: note('{"text" "x"}'), told: 'not valid JSON at character 8', facts: { found: 'at character 8' } },
    { send: note('{"text":NaN}'), told: 'The request body is not valid JSON. Send' },
  ],
  body_too_deep: [
    { send: note(`{"text":"x","more":${nested}}`), told: 'nested more than 100 levels deep', facts: { limit: 100 } },
    {
      send: () => callOps(server, 'PUT', '/admin/clients/deep', { body: `{"client_id":"deep","jwks":${nested}}` }),
      told: 'nested more than 100 levels deep',
      facts: { limit: 100 },
    },
  ],
  body_prototype: { send: note('{"text":"x","__proto__":{}}'), told: 'a member named __proto__' },
  body_form: { send: note('{"note":"x"}'), told: 'Expected: an object with the member text' },
  body_too_large: [
    {
      send: form('x'.repeat(16_385)),
      status: 413,
      told: 'larger than the 16384 octets',
      facts: { limit: 16_384, found: '16385' },
    },
    { send: note('x'.repeat(65_537)), status: 413, told: 'larger than the 65536 octets' },
    { send: chunked(`4001\r\n${'x'.repeat(0x4001)}\r\n0\r\n\r\n`), status: 413, told: 'larger than the 16384 octets' },
  ],
  body_framing: [
    {
      send: chunked('').replace('Transfer-Encoding', 'Content-Length: 1\r\nTransfer-Encoding'),
      told: 'where the request body ends',
    },
    { send: form(good).replace(/Content-Length: \d+/, 'Content-Length: +1'), told: 'where the request body ends' },
    { send: chunked('').replace('chunked', 'chunked, identity'), told: 'where the request body ends' },
  ],
  chunk_malformed: [
    {
      send: chunked('x\r\n'),
      told: 'The chunks of the request body are malformed',
      facts: { code: 'HPE_INVALID_CHUNK_SIZE' },
    },
    { send: chunked(`1;${'x'.repeat(20_000)}\r\n`), told: 'The chunks of the request body are malformed' },
  ],
  signature_headers: {
    send: post('/leaks', 'application/json', '[]', 'Github-Public-Key-Signature: x'),
    told: 'exactly one key identifier',
  },
  cross_site: [
    {
      send: form(good, 'Sec-Fetch-Site: cross-site'),
      status: 403,
      told: 'Sec-Fetch-Site is cross-site',
      facts: { header: 'Sec-Fetch-Site', found: 'cross-site' },
    },
    {
      send: form(good, 'Sec-Fetch-Site: cross-site', 'Origin: https://evil.example'),
      status: 403,
      told: 'Sec-Fetch-Site is cross-site',
      facts: { header: 'Sec-Fetch-Site', found: 'cross-site', origin: 'https://evil.example' },
    },
  ],
  host_missing: { send: 'GET / HTTP/1.0\r\n\r\n', told: 'The request has no host' },
  host_repeated: { send: get('/', 'Host: localhost'), told: 'more than one host' },
  host_malformed: {
    send: async () =>
      exchange(
        await server.connect('alice', { servername: '', rejectUnauthorized: false }),
        'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n',
        { until: 1 },
      ),
    told: 'The host a@b of the request is not a valid host name or IP address',
    facts: { host: 'a@b' },
  },
  misdirected: {
    send: get('https://b.test/'),
    status: 421,
    told: 'for the host b.test, but the TLS handshake named localhost',
    facts: { host: 'b.test', server_name: 'localhost' },
  },
  host_not_loopback: {
    send: () => callOps(server, 'GET', '/health', { headers: { host: 'ops.example' } }),
    status: 421,
    told: 'does not accept requests for the host ops.example. Send Host: localhost:',
  },
  target_malformed: [
    { send: get('*'), told: 'an asterisk, which only OPTIONS may have' },
    { send: get('localhost:443'), told: 'a form that no request target has', facts: { code: 'HPE_INVALID_URL' } },
    { send: get('ftp://localhost/binding'), told: 'the scheme ftp' },
    { send: get('/binding#x'), told: 'a fragment' },
    { send: get('/bind\x7fing'), told: 'an octet or a form' },
    { send: get('/%zz'), told: 'a percent sign that begins no code' },
    { send: () => callOps(server, 'GET', `/admin/clients/${'x'.repeat(600)}`), told: 'a segment that is too long' },
    { send: () => callOps(server, 'GET', '*'), told: 'an asterisk' },
  ],
  path_ambiguous: { send: get('/x//y'), told: 'it has an empty segment' },
  method_malformed: {
    send: get('/').replace('GET', 'get'),
    told: 'does not begin with an HTTP method',
    facts: { code: 'HPE_INVALID_METHOD' },
  },
  version_unsupported: [
    { send: get('/').replace('HTTP/1.1', 'HTTP/1.2'), told: 'No supported HTTP version follows the request target' },
    { send: get('/').replace('HTTP/1.1', 'HTTP/2.0'), told: 'HTTP/2.0' },
    { send: get('/bind ing'), told: 'a request target contains no space' },
    { send: get('/').replace('\r\n', '\n'), told: 'each line ends with CR LF', facts: { code: 'HPE_INVALID_VERSION' } },
  ],
  header_malformed: [
    {
      send: get('/', 'X-A : 1'),
      told: 'A header of the request is malformed',
      facts: { code: 'HPE_INVALID_HEADER_TOKEN' },
    },
    { send: get('/', 'X-A: 1\x002'), told: 'A header of the request is malformed' },
  ],
  line_end: { send: get('/').replace('localhost\r\n', 'localhost\n'), told: 'does not end with CR LF' },
  head_too_large: {
    send: get('/', `X-A: ${'a'.repeat(17_000)}`),
    status: 431,
    told: 'larger than the 16384 octets that the server accepts',
    facts: { limit: 16_384 },
  },
  request_incomplete: {
    send: () => sendAndEnd(form(good).slice(0, -1)),
    told: 'The connection closed before the request was complete',
  },
  after_close: { send: get('/binding', 'Connection: close') + get('/binding'), status: 0, told: '' },
  not_found: { send: get('/nothing', bearer), status: 404, told: 'This path does not exist' },
  not_a_proxy: {
    send: get('/authz', bearer),
    status: 403,
    told: 'Only a proxy that may ask this server',
    facts: { thumbprint: thumbprintOf(server.pki.alice) },
  },
  method_not_allowed: {
    send: get('/oauth/token'),
    status: 405,
    told: 'does not support the method GET. Use one of: POST',
    facts: { found: 'GET', expected: 'POST' },
  },
  expectation: { send: get('/', 'Expect: junk'), status: 417, told: 'The Expect header is junk' },
  proxy_header_missing: {
    send: () => beforeTls('GET / HTTP/1.1\r\n', '127.0.0.2'),
    status: 0,
    told: '',
    facts: { found: 'an HTTP request without TLS' },
  },
  proxy_header_invalid: {
    send: () => beforeTls('PROXY TCP4 192.0.2.1\r\n', '127.0.0.2'),
    status: 0,
    told: '',
    facts: { found: 'an address is not one of TCP4' },
  },
  proxy_header_not_allowed: {
    send: () => beforeTls('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', '127.0.0.1'),
    status: 0,
    told: '',
    facts: { found: 'a PROXY protocol header, version 1' },
  },
  request_timed_out: { send: 'GET / HTTP/1.1\r\n', status: 408, told: 'not complete in time' },
  http2_flood: {
    send: async () => {
      const peer = await openRawHttp2({ port: server.port, ca: server.pki.ca.certificate })
      for (let round = 0; round < 10; round++) {
        peer.send(...Array.from({ length: 64 }, () => buildFrame(frameTypes.ping, 0, 0, Buffer.alloc(8))))
        await new Promise(setImmediate)
      }
      await peer.closed()
    },
    status: 0,
    told: '',
    facts: { found: 'PING frames', limit: floodBudget.burstWithoutCertificate },
  },
  http2_error: {
    send: async () => {
      const peer = await openRawHttp2({ port: server.port, ca: server.pki.ca.certificate })
      peer.send(buildFrame(frameTypes.windowUpdate, 0, 0, Buffer.alloc(4))) // RFC 9113 §6.9: an increment of 0
      await peer.closed()
    },
    status: 0,
    told: '',
    facts: { found: 'Protocol error' },
  },
  not_http: [
    { send: 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', told: 'carries a PROXY protocol header, version 1' },
    { send: '\x16\x03\x01\r\n\r\n', told: 'carries TLS; an HTTP request was expected' },
    { send: () => toOps('\x16\x03\x01\x02\x00'), status: 0, told: '', facts: { found: 'TLS' } },
  ],
  http_error: {
    send: get('/conflict', bearer),
    status: 409,
    told: 'the code CONFLICT',
    facts: { code: 'CONFLICT' },
  },
}

for (const detail of Object.keys(details.malformed_request) as Detail[])
  t.test(`${detail} is reported to the client and in the event`, async t => {
    const all = [rows[detail] ?? []].flat()
    t.ok(all.length > 0, 'it has a row')
    for (const { send, status = 400, told, facts } of all) {
      const name = typeof send === 'string' ? String(send.split('\r\n', 1)).slice(0, 60) : 'another way'
      const before = server.events.length
      const found =
        typeof send === 'string' ? await exchange(await server.connect('alice'), send, { until: 1 }) : await send()
      await until(() => server.events.length > before)
      const [answer] = (found as { answers?: readonly unknown[] } | undefined)?.answers ?? [found]
      if (status !== 0) {
        t.match(answer, { status, body: { reason: 'malformed_request' } }, name)
        t.match((answer as { body: { error_description: string } }).body.error_description, told, name)
      }
      const event = { outcome: 'refused', reason: 'malformed_request', detail }
      t.match(server.events.slice(before), [{ ...event, ...(facts && { facts }) }], name)
      t.equal(server.events.length, before + 1, 'one event')
    }
  })

t.test('names the owner of an accepted token in the event, without an alarm', async t => {
  const { jti } = claimsOf(token)
  const rows = [note(''), note('{"note":"x"}'), note('x'.repeat(65_537)), get('/nothing', bearer)]
  for (const send of rows) {
    await exchange(await server.connect('alice'), send, { until: 1 })
    const event = server.events.at(-1)
    t.match(
      event,
      { reason: 'malformed_request', client_id: 'alice', jti, token_binding: 'certificate' },
      send.slice(0, 40),
    )
    t.notOk('by' in event || 'came_with' in event)
  }
  await exchange(await server.connect('alice'), note('').replace(token, `${token}x`), { until: 1 })
  t.match(
    server.events.at(-1),
    { reason: 'bad_signature', client_id: undefined },
    'control: a token that is not accepted',
  )
  t.same(server.alarms, [])
})
