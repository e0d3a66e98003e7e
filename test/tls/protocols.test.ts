// The HTTP version of a connection: h2 if both ends support it, otherwise HTTP/1.1; never h2 if it is switched off. RFC 7301
// §3.2; TLSBOUND_HTTP2.
import t from 'tap'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'

const both = await startTestServer()
const one = await startTestServer({ env: { TLSBOUND_HTTP2: 'off' } })
t.teardown(() => Promise.all([both.close(), one.close()]))

const speak = async (server: TestServer, ALPNProtocols: string[]) => {
  const connection = await server.connect('alice', { ALPNProtocols })
  const token = await connection.token()
  t.match(await connection.get('/api/whoami', token), { status: 200 }, ALPNProtocols.join())
  return connection.socket.alpnProtocol
}

t.test('negotiates h2 with a client that supports both, and HTTP/1.1 if h2 is switched off', async t => {
  t.equal(await speak(both, ['h2', 'http/1.1']), 'h2')
  t.equal(await speak(both, ['http/1.1', 'h2']), 'h2', 'the server chooses')
  t.equal(await speak(both, ['http/1.1']), 'http/1.1')
  t.equal(await speak(one, ['h2', 'http/1.1']), 'http/1.1')
})

t.test('rejects a client that supports only h2 if it is switched off, also after a reload', async t => {
  t.equal(await speak(both, ['h2']), 'h2', 'control')
  const refused = () =>
    t.rejects(one.connect('alice', { ALPNProtocols: ['h2'] }), { cause: { code: /ALERT_NO_APPLICATION_PROTOCOL/ } })
  await refused()
  const { pki } = one
  one.tls.reload({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })
  await refused()
  t.equal(await speak(one, ['h2', 'http/1.1']), 'http/1.1')
})

t.test('uses HTTP/1.1 with a client that offers no protocol', async t => {
  for (const server of [both, one]) t.notOk(await speak(server, []))
})
