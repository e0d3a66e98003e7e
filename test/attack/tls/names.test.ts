// The host in the TLS handshake and in the request must be the same: otherwise 421 (RFC 9110 §15.5.20, N-48). TS06, TS07,
// over HTTP/1.1, HTTP/2 and for absolute targets (RFC 9112 §3.2.2).
import { once } from 'node:events'
import { connect } from 'node:tls'
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())

const http1 = { ALPNProtocols: ['http/1.1'], rejectUnauthorized: false }
const http2 = { ...http1, ALPNProtocols: ['h2'] }
const misdirected = { status: 421, body: { error: 'invalid_request', reason: 'malformed_request' } }
const long = `${'a.'.repeat(127)}a` // 255 octets

const rows: readonly [servername: string, authority: string, status: 200 | 421][] = [
  ['localhost', 'localhost', 200],
  ['localhost', 'LOCALHOST:8443', 200],
  ['LocalHost', 'localhost', 200],
  ['localhost.', 'localhost.:8443', 200],
  ['localhost.', 'localhost', 200],
  ['localhost', 'localhost.', 200],
  ['localhost', 'localhost:', 200],
  ['localhost', 'LocalHost.:443', 200],
  ['localhost', 'local%68ost', 200],
  ['localhost', 'localhost:000443', 200],
  ['localhost', 'localhost..', 421],
  ['localhost', '.localhost', 421],
  ['localhost', 'localhost:65536', 421],
  ['localhost', 'localhost:+443', 421],
  ['localhost', 'localhost%00', 421],
  ['localhost', 'localhost%2', 421],
  ['localhost', '[::1]', 421],
  ['localhost', '127.0.0.1', 421],
  ['127.0.0.1', '127.0.0.1:8443', 200],
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

t.test('answers 421 to a request for another host than the handshake (TS06, TS07, N-48)', async t => {
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

t.test('treats a server name with a trailing dot as the same host (RFC 6066 §3)', async t => {
  const { ca, alice } = server.pki
  const identity = { ca: ca.certificate, cert: alice.certificate, key: alice.key }
  const socket = connect({ port: server.port, servername: 'localhost.', rejectUnauthorized: false, ...identity })
  await once(socket, 'secureConnect')
  t.match(await exchange({ socket }, requestText('GET /binding', []), { until: 1 }), { answers: [{ status: 200 }] })
  t.equal([...server.tls.connections].at(-1)?.socket.servername, 'localhost.', 'it was sent as it is')
  socket.destroy()
})

t.test('answers 421 for a wrong host despite a valid token (TS07, N-48)', async t => {
  for (const options of [http1, http2]) {
    const connection = await server.connect('alice', options)
    const token = await connection.token()
    const header = options === http1 ? 'host' : ':authority'
    t.match(await connection.get('/api/whoami', token), { status: 200 })
    t.match(await connection.call('/api/whoami', { token, headers: { [header]: 'b.test' } }), misdirected)
    t.match(await connection.call('/no/such/path', { token, headers: { [header]: 'b.test' } }), misdirected)
    t.match(await connection.get('/api/whoami', token), { status: 200 }, 'the connection stays usable')
  }
})

t.test('accepts every valid host without a server name in the handshake', async t => {
  const ask = async (host: string) => {
    const connection = await server.connect('alice', { ...http1, servername: '' })
    return connection.call('/binding', { headers: { host } }).finally(() => connection.close())
  }
  for (const host of ['localhost', 'b.test', '127.0.0.1', '[::1]:8443', '[0:0:0:0:0:0:0:1]', '[fe80::1%25eth0]:443'])
    t.match(await ask(host), { status: 200 }, host)
  for (const host of ['', ':443', 'a@b.test', 'a.test:x', 'a.test:1:2', '[::1', '[::g]', '::1', 'a..test', 'a.test/x'])
    t.match(await ask(host), { status: 400, body: { reason: 'malformed_request' } }, host)
  t.match(server.events.at(-1), { detail: 'host_malformed', facts: { host: 'a.test/x' } })
})

t.test('names both hosts of a misdirected request to the client and the operator', async t => {
  const connection = await server.connect('alice', http1)
  const { body } = await connection.call('/binding', { headers: { host: 'b.test:8443' } })
  t.match(body.error_description, /^The request is for the host b\.test:8443, but the TLS handshake named localhost\./)
  const facts = { host: 'b.test:8443', server_name: 'localhost' }
  t.match(server.events.at(-1), { status: 421, detail: 'misdirected', facts })
})

t.test('rejects a Host that differs from :authority over HTTP/2 (RFC 9113 §8.3.1)', async t => {
  const connection = await server.connect('alice', http2)
  const ask = (host: string) => connection.call('/binding', { headers: { ':authority': 'localhost', host } })
  for (const host of [`localhost:${server.port}`, 'LOCALHOST.']) t.match(await ask(host), { status: 200 }, host)
  t.match(await ask('b.test'), { status: 400, body: { reason: 'malformed_request' } })
  t.match(server.events.at(-1), { detail: 'host_repeated' })
})

t.test('checks the host of an absolute target (TS07, N-48, RFC 9112 §3.2.2)', async t => {
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
