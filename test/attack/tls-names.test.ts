// The name in the TLS handshake and the name in the request must be the same: else 421 (RFC 9110 §15.5.20, N-48).
// TS06, TS07, over both versions of HTTP and for requests that name their target in full (RFC 9112 §3.2.2).
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { exchange, requestText } from '../helpers/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())

const http1 = { ALPNProtocols: ['http/1.1'], checkServerIdentity: () => undefined }
const http2 = { ...http1, ALPNProtocols: ['h2'] }
const misdirected = { status: 421, body: { error: 'invalid_request', reason: 'malformed_request' } }
const long = `${'a.'.repeat(127)}a` // 255 octets

const rows: readonly [servername: string, authority: string, status: 200 | 421][] = [
  ['localhost', 'localhost', 200],
  ['localhost', 'LOCALHOST:8443', 200],
  ['LocalHost', 'localhost', 200],
  ['localhost.', 'localhost.:8443', 200],
  ['localhost.', 'localhost', 421],
  ['localhost', 'localhost.', 421],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example', 200],
  ['xn--bcher-kva.example', 'localhost', 421],
  [long, long, 200],
  [long, long.slice(2), 421],
  ['a.test', 'a.test', 200],
  ['a.test', 'b.test', 421],
  ['a.test', 'b.test:443', 421],
  ['a.test', 'xa.test', 421],
  ['a.test', 'a.test.b.test', 421],
  ['a.test', 'a.test:1:2', 421],
  ['a.test', 'a.test@b.test', 421],
  ['a.test', 'b.test@a.test', 421],
  ['a.test', 'a.test,b.test', 421],
]

t.test('a request for another host than the handshake was for is misdirected (TS06, TS07, N-48)', async t => {
  t.same(Buffer.byteLength(long), 255)
  for (const [servername, authority, status] of rows) {
    const name = `${servername.slice(0, 30)} → ${authority.slice(0, 30)}`
    for (const [options, header] of [
      [http1, 'host'],
      [http2, ':authority'],
    ] as const) {
      const connection = await server.connect('alice', { ...options, servername })
      if (header === ':authority' && authority.includes('@')) {
        await t.rejects(
          connection.call('/binding', { headers: { [header]: authority } }),
          `HTTP/2 refuses ${authority}`,
        )
        continue
      }
      const before = server.events.length
      const answer = await connection.call('/binding', { headers: { [header]: authority } })
      t.match(answer, status === 200 ? { status } : misdirected, `${header}: ${name}`)
      t.equal(server.events.length - before, status === 200 ? 0 : 1, 'a refusal is one event (I7)')
      connection.close()
    }
  }
})

t.test('a good token does not make up for a wrong host (TS07, N-48)', async t => {
  for (const options of [http1, http2]) {
    const connection = await server.connect('alice', options)
    const token = await connection.token()
    const header = options === http1 ? 'host' : ':authority'
    t.match(await connection.get('/api/whoami', token), { status: 200 })
    t.match(await connection.call('/api/whoami', { token, headers: { [header]: 'b.test' } }), misdirected)
    t.match(await connection.call('/no/such/path', { token, headers: { [header]: 'b.test' } }), misdirected)
    t.match(await connection.get('/api/whoami', token), { status: 200 }, 'the connection stays good')
  }
})

t.test('where the handshake has named nobody, every host will do', async t => {
  for (const host of ['localhost', 'b.test', '127.0.0.1']) {
    const connection = await server.connect('alice', { ...http1, servername: '' })
    t.match(await connection.call('/binding', { headers: { host } }), { status: 200 })
  }
})

t.test('a request that names its target in full is judged by that name (TS07, N-48, RFC 9112 §3.2.2)', async t => {
  for (const [target, status] of [
    ['https://localhost/binding', 200],
    [`https://LOCALHOST:${server.port}/binding`, 200],
    ['https://b.test/binding', 421],
    ['https://localhost.b.test/binding', 421],
    ['https://localhost@b.test/binding', 421],
    ['https://b.test/.well-known/oauth-authorization-server', 421],
    ['https://b.test/api/whoami', 421],
  ] as const) {
    const connection = await server.connect('alice')
    const { answers } = await exchange(connection, requestText(`GET ${target}`, []), { until: 1 }) // Host: localhost
    t.match(answers, [{ status }], target)
  }
})
