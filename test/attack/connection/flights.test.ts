// Data besides and before requests: key updates, early data, a request in the handshake's last flight. CB14, CB23, CB24;
// N-17.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { asAlice, start, writePki } from '../../helpers/client/peers.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import { joinFlights, startRelay } from '../../helpers/tls/raw-tls.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const folder = writePki(t, server)
const form = 'grant_type=client_credentials&client_id=alice'
const tokenRequest = (...headers: string[]) =>
  requestText(
    'POST /oauth/token',
    ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${form.length}`, ...headers],
    form,
  )
const whoami = (token: string, ...headers: string[]) =>
  requestText('GET /api/whoami', [`Authorization: Bearer ${token}`, ...headers])

t.test('accepts a token after a hundred key updates (CB14)', async t => {
  const client = start(t, 'openssl', asAlice(server.port, '-tls1_3'), folder)
  client.write(tokenRequest())
  const [, token = ''] = await client.until(/"access_token":"([^"]+)"/)
  for (let update = 0; update < 100; update++) {
    const since = client.output.length
    client.write(update % 2 === 0 ? 'K\n' : 'k\n') // with and without a key update of the server in return
    await client.until(/KEYUPDATE/, since)
  }
  client.write(whoami(token, 'Connection: close'))
  t.match(await client.ended, { all: /(KEYUPDATE\s+){100}HTTP\/1.1 200 OK.*"client_id":"alice"/s })
})

t.test('never reads early data (CB23, N-17)', async t => {
  // The session that allows early data comes from another server, which accepts the same bytes.
  const other = start(
    t,
    'openssl',
    's_server -accept 127.0.0.1:0 -cert server.crt -key server.key -tls1_3 -early_data -max_early_data 4096'.split(' '),
    folder,
  )
  const [, otherPort] = await other.until(/ACCEPT 127.0.0.1:(\d+)/)
  other.write('tickets are sent before this\n')
  const first = start(t, 'openssl', asAlice(Number(otherPort), '-sess_out', 'session'), folder)
  await first.until(/tickets are sent before this/)
  first.end()
  await first.ended

  const alice = await server.connect('alice')
  const token = await alice.token({ token_binding: 'certificate' })
  const note = JSON.stringify({ text: 'sent early' })
  const headers = ['Content-Type: application/json', `Content-Length: ${note.length}`]
  const post = requestText('POST /api/notes', [`Authorization: Bearer ${token}`, ...headers], note)
  writeFileSync(join(folder, 'early'), post)
  const early = ['-sess_in', 'session', '-early_data', 'early']

  const control = start(t, 'openssl', asAlice(Number(otherPort), ...early), folder)
  await other.until(/sent early/)
  control.end()
  t.match(await control.ended, { all: /Early data was accepted/ })

  const events = server.events.length
  const client = start(t, 'openssl', asAlice(server.port, ...early), folder)
  client.write(whoami(token, 'Connection: close'))
  t.match(await client.ended, { all: /New, TLSv1.3.*Early data was rejected.*200 OK.*"client_id":"alice"/s })
  t.same((await alice.get('/api/notes', token)).body, { notes: [] }, 'no note was written')
  t.equal(server.events.length, events, 'no refusal either: the data was never read')
  const json = { 'content-type': 'application/json' }
  t.match(await alice.call('/api/notes', { method: 'POST', token, body: note, headers: json }), { status: 201 })
})

t.test("knows the connection of a request in the same segment as the client's Finished (CB24)", async t => {
  const padded = { 'x-padding': 'x'.repeat(8000) }
  const port = await startRelay(t, server.port, joinFlights(8000))
  for (const ALPNProtocols of [['http/1.1'], ['h2']])
    for (let round = 0; round < 10; round++) {
      const connection = await server.connect('alice', { port, ALPNProtocols })
      const headers = { 'content-type': 'application/x-www-form-urlencoded', ...padded }
      const issued = await connection.call('/oauth/token', { method: 'POST', headers, body: form })
      t.match(issued, { status: 200, body: { token_binding: 'connection' } })
      t.match(await connection.get('/api/whoami', issued.body.access_token), { status: 200 })
      connection.close()
    }
  for (const who of [null, 'stranger'] as const) {
    const connection = await server.connect(who, { port })
    const reason = who === null ? 'no_certificate' : 'certificate_untrusted'
    t.match(await connection.call('/api/whoami', { token: 'a.b.c', headers: padded }), {
      status: 401,
      body: { reason },
    })
  }
})

t.test('drops a request in that segment where rejected connections are dropped (CB24, I7)', async t => {
  const dropping = await startTestServer({ env: { TLSBOUND_TLS_DROP_UNACCEPTABLE: 'on' } })
  t.teardown(() => dropping.close())
  const port = await startRelay(t, dropping.port, joinFlights(8000))
  const padding = `X-Padding: ${'x'.repeat(8000)}`
  const served = await exchange(await dropping.connect('alice', { port }), tokenRequest(padding), { until: 1 })
  t.match(served, { answers: [{ status: 200 }] })
  for (const who of [null, 'stranger'] as const) {
    const before = dropping.events.length
    const connection = await dropping.connect(who, { port })
    t.match(await exchange(connection, tokenRequest(padding), { until: 'closed' }), { received: '', closed: true })
    t.match(dropping.events.slice(before), [{ event: 'connection.refused' }])
    t.equal(dropping.events.length, before + 1)
  }
})
