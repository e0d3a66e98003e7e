// CONNECT asks a proxy for a tunnel. Both listeners refuse it with 405 and an event over both protocols, and continue to
// serve. RFC 9110 §9.3.6, RFC 9113 §8.5.
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { callOps } from '../helpers/server/ops.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { until } from '../helpers/until.ts'

const server = await startTestServer({ ops: true })
t.teardown(() => server.close())
const refused = {
  outcome: 'refused',
  reason: 'malformed_request',
  detail: 'method_not_allowed',
  status: 405,
  facts: { found: 'CONNECT', expected: 'GET, HEAD, POST, OPTIONS' },
}
const answer = {
  status: 405,
  headers: { allow: 'GET, HEAD, POST, OPTIONS' },
  body: { error: 'invalid_request', reason: 'malformed_request' },
}

t.test('HTTP/1.1: answers 405 and closes the connection, whatever follows', async t => {
  for (const target of ['localhost:443', 'evil.example:22', '/', '*'])
    for (const more of ['', requestText('GET /', []), '\x16\x03\x01']) {
      const before = server.events.length
      const bytes = `CONNECT ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n${more}`
      const { answers } = await exchange(await server.connect('alice'), bytes, { until: 'closed' })
      t.match(answers, [{ ...answer, headers: { ...answer.headers, connection: 'close' } }], `${target} ${more.length}`)
      t.equal(answers.length, 1)
      t.match(server.events.slice(before), [{ event: 'token.refused', ...refused, method: 'CONNECT' }], target)
      t.equal(server.events.length, before + 1, 'one event')
    }
  t.match(await (await server.connect('alice')).get('/binding'), { status: 200 }, 'control')
})

t.test('HTTP/2: answers 405 and serves the other requests of the connection', async t => {
  const { ca, alice } = server.pki
  const session = connectHttp2(`https://localhost:${server.port}`, {
    ca: ca.certificate,
    cert: alice.certificate,
    key: alice.key,
  })
  t.teardown(() => session.destroy())
  const ask = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const stream = session.request(headers, { endStream: headers[':method'] !== 'CONNECT' })
      stream.on('response', found => resolve(found[':status'] as number)).on('error', reject)
      stream.resume().end()
    })
  const before = server.events.length
  t.equal(await ask({ ':path': '/binding' }), 200, 'control')
  t.equal(await ask({ ':method': 'CONNECT', ':authority': 'evil.example:22' }), 405)
  t.match(server.events.slice(before), [{ event: 'token.refused', ...refused }])
  t.equal(server.events.length, before + 1, 'one event')
  t.equal(await ask({ ':path': '/binding' }), 200, 'control')
})

t.test('the ops listener: answers 405 and records an event', async t => {
  const { port } = new URL(server.ops?.url ?? '')
  const before = server.events.length
  const text = await new Promise<string>(resolve => {
    let received = ''
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(`CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`))
    socket.on('data', octets => {
      received += octets
    })
    socket.on('close', () => resolve(received))
  })
  t.match(text, /^HTTP\/1\.1 405 /)
  await until(() => server.events.length > before)
  t.match(server.events.slice(before), [{ event: 'admin.refused', ...refused }])
  t.match(await callOps(server, 'GET', '/health'), { status: 200 }, 'control')
})

t.test('survives a client that disconnects before the response', async t => {
  for (let round = 0; round < 20; round++) {
    const connection = await server.connect('alice')
    connection.socket.write('CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n', () => connection.socket.destroy())
  }
  t.match(await (await server.connect('alice')).get('/binding'), { status: 200 })
  t.notOk(server.log.some(line => /unhandled|unexpected/.test(line)))
})
