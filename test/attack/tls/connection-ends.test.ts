// When a connection ends: at its maximum age, or immediately where unacceptable ones are dropped; and requests without TLS.
// I7: a dropped connection is one security event.
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import t from 'tap'
import { issueCertificate, issueCrl, startTestServer, type TestServer } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { until } from '../../helpers/until.ts'

/** An HTTP/2 session of alice, and every frame of its end. */
async function openSession(t: { teardown(end: () => void): void }, server: TestServer) {
  const { certificate: cert, key } = server.pki.alice
  const session = connectHttp2(server.origin, { host: '127.0.0.1', ca: server.pki.ca.certificate, cert, key })
  t.teardown(() => session.destroy())
  const goaway = new Promise<number>(resolve => session.once('goaway', resolve))
  const closed = new Promise<void>(resolve => session.once('close', resolve))
  const get = (path: string, token = '') =>
    new Promise<number>((resolve, reject) => {
      const stream = session.request({ ':path': path, authorization: `Bearer ${token}` }).on('error', reject)
      stream.on('response', headers => resolve(Number(headers[':status']))).resume()
    })
  return { session, goaway, closed, get }
}

t.test('ends an HTTP/1.1 connection at its maximum age with the next response', async t => {
  const [young, old] = [await startTestServer(), await startTestServer({ tls: { maximumAge: 0 } })]
  t.teardown(() => Promise.all([young.close(), old.close()]))
  const request = requestText('GET /binding', [])
  const stays = await exchange(await young.connect('alice'), request.repeat(3), { until: 3 })
  t.match(stays, { closed: false, answers: Array(3).fill({ status: 200, headers: { connection: 'keep-alive' } }) })
  const ends = await exchange(await old.connect('alice'), request.repeat(3), { until: 'closed' })
  t.match(ends, { closed: true, answers: [{ status: 200, headers: { connection: 'close' } }] })
  t.equal(ends.answers.length, 1, 'later requests are not answered')
})

t.test('ends an HTTP/2 connection at its maximum age with GOAWAY after its last stream', async t => {
  const gate = Promise.withResolvers<void>()
  const server = await startTestServer({
    tls: { maximumAge: 0 },
    routes: app => {
      app.get('/slow', async () => {
        await gate.promise
        return {}
      })
    },
  })
  const young = await startTestServer()
  t.teardown(() => Promise.all([server.close(), young.close()]))
  const stays = await openSession(t, young)
  t.same([await stays.get('/binding'), await stays.get('/binding')], [200, 200])
  t.notOk(stays.session.closed || stays.session.destroyed)

  const token = await (await server.connect('alice')).token({ token_binding: 'certificate' })
  const ends = await openSession(t, server)
  const underWay = ends.get('/slow', token)
  t.equal(await ends.goaway, 0, 'NO_ERROR')
  await t.rejects(ends.get('/binding'), 'no new streams')
  gate.resolve()
  t.equal(await underWay, 200, 'requests in progress are answered')
  await ends.closed
  t.ok(ends.session.destroyed)
})

const dropping = await startTestServer({ env: { TLSBOUND_TLS_DROP_UNACCEPTABLE: 'on' } })
const answering = await startTestServer()
t.teardown(() => Promise.all([dropping.close(), answering.close()]))
const now = Date.now()

t.test(
  'drops unacceptable connections with one security event and no octet of a response, where configured (I7)',
  async t => {
    for (const ALPNProtocols of [['http/1.1'], ['h2']]) {
      const served = await dropping.connect('alice', { ALPNProtocols })
      t.match(await served.get('/api/whoami', await served.token()), { status: 200 })
    }
    const { pki, tls } = dropping
    const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
    tls.reload({ ...material, crl: issueCrl({ issuer: pki.ca, revoked: [pki.bob.x509] }) })
    const made = (order: Partial<Parameters<typeof issueCertificate>[0]>) =>
      issueCertificate({ subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['clientAuth'], ...order })
    const rows = [
      ['no_certificate', null],
      ['certificate_untrusted', 'stranger'],
      ['certificate_untrusted', 'server'],
      ['certificate_untrusted', made({ extendedKeyUsage: [] })],
      ['certificate_untrusted', issueCertificate({ subject: pki.alice.subject, extendedKeyUsage: ['clientAuth'] })],
      ['certificate_expired', made({ notBefore: new Date(now - 9000), notAfter: new Date(now - 2000) })],
      ['certificate_expired', made({ notBefore: new Date(now + 3_600_000) })],
      ['certificate_revoked', 'bob'],
    ] as const
    for (const ALPNProtocols of [['http/1.1'], ['h2'], ['x', 'http/1.1']])
      for (const [reason, who] of rows) {
        const before = dropping.events.length
        const { socket } = await dropping.connect(who, { ALPNProtocols })
        if (!socket.destroyed) await new Promise(resolve => socket.resume().once('close', resolve))
        t.equal(socket.bytesRead, 0, reason)
        t.match(dropping.events.slice(before), [
          {
            event: 'connection.refused',
            outcome: 'refused',
            reason,
            tls: 'TLSv1.3',
            resumed: false,
            peer: '127.0.0.1',
          },
        ])
        t.equal(dropping.events.length - before, 1)
      }
    const still = await dropping.connect('alice')
    t.match(await still.get('/api/whoami', await still.token()), { status: 200 })
  },
)

t.test('closes an unused connection without an event, and records one for half a request', async t => {
  const impatient = await startTestServer({ tls: { timeouts: { headers: 1, request: 1, idle: 2 } } })
  t.teardown(() => impatient.close())
  const identity = [null, 'stranger', 'alice'] as const
  const told = await Promise.all(
    identity.flatMap(who =>
      ['', '\r\n', 'GET / HTTP/1.1\r\nHost: loc'].map(async bytes => {
        const connection = await impatient.connect(who)
        const { localPort } = connection.socket
        const { received } = await exchange(connection, bytes, { until: 'closed', limit: 60_000 })
        return [bytes, received.slice(0, 20), localPort] as const
      }),
    ),
  )
  for (const [bytes, received, port] of told) {
    t.match(received, bytes === '' ? /^$/ : 'HTTP/1.1 408 Request', JSON.stringify(bytes))
    const events = impatient.events.filter(({ peer_port }) => peer_port === port)
    const refused = [{ event: 'connection.refused', outcome: 'refused', reason: 'malformed_request', tls: 'TLSv1.3' }]
    t.match(events, bytes === '' ? [] : refused)
    t.equal(events.length, bytes === '' ? 0 : 1, JSON.stringify(bytes))
  }
  const silent = connectTcp(impatient.port, '127.0.0.1').end() // as the health check of a load balancer does
  await new Promise(resolve => silent.resume().once('close', resolve))
  await until(() => impatient.tls.counts.failedHandshakes.nothing === 1)
  t.equal(impatient.events.length, 6)
})

t.test('serves only public resources without an acceptable certificate, unless it drops such connections', async t => {
  for (const [who, reason] of [
    [null, 'no_certificate'],
    ['stranger', 'certificate_untrusted'],
  ] as const) {
    const connection = await answering.connect(who)
    const { body } = await connection.get('/binding')
    t.match(body, { protocol: 'TLSv1.3', certificate: who === null ? null : { reason } })
    t.match(await connection.get('/oauth/jwks'), { status: 200 })
    t.match(await connection.requestToken(), refusal(reason, 'invalid_client'))
    t.match(await (await answering.connect(who)).get('/api/notes', 'a.b.c'), refusal(reason))
  }
})

t.test('rejects requests without TLS', async t => {
  const connection = await answering.connect('alice')
  const tokens = [await connection.token(), await connection.token({ token_binding: 'certificate' })]
  const { app } = answering
  const before = answering.events.length
  for (const token of tokens) {
    t.match(await connection.get('/api/whoami', token), { status: 200 })
    const response = await app.inject({ url: '/api/whoami', headers: { authorization: `Bearer ${token}` } })
    t.match(
      { status: response.statusCode, body: response.json() },
      { status: 401, body: refusal('no_certificate').body },
    )
  }
  const payload = 'grant_type=client_credentials&client_id=alice'
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const issued = await app.inject({ method: 'POST', url: '/oauth/token', payload, headers })
  t.match({ status: issued.statusCode, body: issued.json() }, { status: 401, body: { reason: 'no_certificate' } })
  const binding = await app.inject({ url: '/binding' })
  t.match(
    { status: binding.statusCode, body: binding.json() },
    { status: 400, body: { reason: 'binding_unavailable' } },
  )
  t.equal((await app.inject({ url: '/oauth/jwks' })).statusCode, 200)
  t.same(
    answering.events.slice(before).map(({ event, reason }) => `${event} ${reason}`),
    [
      'token.refused no_certificate',
      'token.refused no_certificate',
      'client.refused no_certificate',
      'token.refused binding_unavailable',
    ],
  )
})
