// Which servers the client connects to, and its errors when none responds. GW04, GW08.
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { inspect } from 'node:util'
import t from 'tap'
import { createBackoff } from '../../src/client/backoff.ts'
import { type ClientError, connect, createClient } from '../../src/client/client.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { type Serve, startFakeUpstream } from '../helpers/client/fake-upstream.ts'
import { start as startProgram, writePki } from '../helpers/client/peers.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { letPass } from '../helpers/monotonic.ts'
import { until } from '../helpers/until.ts'

const answer: Serve = (_request, response) => void response.end('answer')
const pki = makeDemoPki()
const identity = { certificate: pki.alice.certificate, key: pki.alice.key, ca: pki.ca.certificate }
const serverCertificate = { issuer: pki.ca, extendedKeyUsage: ['serverAuth'] } as const
const day = 86_400_000

t.test('sends no request to a server whose certificate does not match', async t => {
  const subject = [['CN', 'localhost']] as const // the subject does not identify a server (RFC 9110 §4.3.4)
  const named = (dns: string) => issueCertificate({ ...serverCertificate, subject, altNames: [{ dns }] })
  const expired = issueCertificate({
    ...serverCertificate,
    subject,
    altNames: [{ dns: 'localhost' }],
    notBefore: new Date(Date.now() - 2 * day),
    notAfter: new Date(Date.now() - day),
  })
  const table: [string, { certificate: string; key: string }][] = [
    ['server_name_mismatch', named('other.example')],
    ['server_name_mismatch', named('localhost.other.example')],
    ['server_name_mismatch', named('localhost\0.other.example')],
    ['server_name_mismatch', named('*')],
    ['server_untrusted', expired],
    ['server_untrusted', makeDemoPki().server],
  ]
  for (const [code, server] of table)
    for (const http2 of [true, false]) {
      const upstream = await startFakeUpstream(t, answer, {
        pki,
        cert: server.certificate,
        key: server.key,
        http2: true,
      })
      const client = createClient({ ...upstream.target, http2 })
      const failures = await Promise.all([1, 2, 3].map(() => client.fetch('/').catch((error: ClientError) => error)))
      for (const failure of failures) t.match(failure, { name: 'ClientError', code, cause: Error })
      t.match(client.state().lastProblem, { code })
      await t.rejects(client.fetch('/'), { code }, 'the request fails without a wait')
      t.ok(upstream.handshakes <= 2, 'few connections are opened')
      t.same(upstream.seen, [])
      letPass(t, 10)
      upstream.server.setSecureContext({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })
      t.equal((await client.fetch('/')).status, 200, 'the request succeeds with the correct certificate')
      await client.close()
    }
})

t.test('accepts an IP address that the certificate contains, and the check cannot be disabled', async t => {
  const upstream = await startFakeUpstream(t, answer, { pki, http2: true })
  const byAddress = { ...upstream.target, origin: `https://127.0.0.1:${upstream.port}`, issuer: upstream.origin }
  const client = createClient({ ...byAddress, tokenBinding: 'certificate' })
  t.teardown(() => client.close())
  upstream.issue = () => ({ binding: 'certificate' })
  t.equal((await client.fetch('/')).status, 200)
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  const trusting = createClient({ ...upstream.target, identity: { ...identity, ca: makeDemoPki().ca.certificate } })
  t.teardown(() => trusting.close())
  await t.rejects(trusting.fetch('/'), { code: 'server_untrusted' }, 'GW08')
})

t.test('distinguishes a server that rejects the certificate from an unreachable one', async t => {
  const folder = writePki(t, { pki })
  const port = await findFreePort()
  // OpenSSL gives the reason in an alert; TLS 1.3 sends it after the client has finished its handshake.
  const files = ['-cert', 'server.crt', '-key', 'server.key', '-CAfile', 'ca.crt']
  const options = ['-accept', `127.0.0.1:${port}`, '-Verify', '1', '-verify_return_error', '-quiet', '-www']
  startProgram(t, 'openssl', ['s_server', ...files, ...options], folder)
  const stranger = { certificate: pki.stranger.certificate, key: pki.stranger.key, ca: pki.ca.certificate }
  const client = createClient({ origin: `https://localhost:${port}`, identity: stranger, timeout: 10 })
  t.teardown(() => client.close())
  await t.rejects(client.fetch('/'), {
    code: 'certificate_refused',
    cause: { code: 'own_certificate_refused', cause: { code: /ALERT_UNKNOWN_CA/ } },
  })
})

t.test('without a server, a request waits for its timeout and then reports the last cause', async t => {
  const port = await findFreePort()
  const sockets = new Set<Socket>()
  const listen = async (serve: (socket: Socket) => void) => {
    const server = createServer(socket => {
      sockets.add(socket.on('error', () => {}))
      serve(socket)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    return `https://localhost:${(server.address() as AddressInfo).port}`
  }
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  let attempts = 0
  const hangUp = (socket: Socket) => {
    attempts += 1
    socket.destroy()
  }
  const table: [string, string, RegExp][] = [
    ['a closed port', `https://localhost:${port}`, /ECONNREFUSED/],
    ['a server that closes connections', await listen(hangUp), /ECONNRESET|disconnected/],
    [
      'a server with another protocol',
      await listen(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      /SSL|EPROTO|wrong version/i,
    ],
    ['a silent server', await listen(() => {}), /./],
  ]
  await Promise.all(
    table.map(async ([name, origin, cause]) => {
      const client = createClient({ origin, identity, timeout: 2 })
      const started = performance.now()
      const failure = await client.fetch('/').catch((error: ClientError) => error)
      t.match(failure, { name: 'ClientError', code: 'timed_out' }, name)
      t.ok(performance.now() - started >= 1900, name)
      if (name !== 'a silent server') {
        t.match(failure, { cause: { code: 'cannot_connect', cause: Error } }, name)
        t.match(`${(failure as ClientError).message}`, cause, name)
        t.match(client.state().lastProblem, { code: 'cannot_connect' }, name)
      }
      await client.close()
    }),
  )
  t.ok(attempts > 1 && attempts < 50, `${attempts} attempts in two seconds, with pauses`)
})

t.test('resumes no TLS session, even when the server offers tickets', async t => {
  const upstream = await startFakeUpstream(t, (_request, response, seen) => response.end('answer', () => seen.cut()), {
    pki,
  })
  const reused: boolean[] = []
  upstream.server.on('secureConnection', socket => reused.push(socket.isSessionReused()))
  const client = createClient(upstream.target)
  t.teardown(() => client.close())
  for (let count = 0; count < 3; count++) {
    await (await client.fetch('/')).text()
    await until(() => client.state().connections.length === 0)
  }
  t.same(reused, [false, false, false])
})

t.test('a server that sends garbage after the handshake causes an error before the timeout', async t => {
  const nonsense: [string, string][] = [
    ['http/1.1', 'nonsense'],
    ['http/1.1', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\n{}'],
    ['http/1.1', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
    ['http/1.1', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1_000_000)}`],
    ['http/1.1', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)],
    ['http/1.1', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
    ['http/1.1', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}'],
    ['h2', 'nonsense that is longer than the head of a frame'],
    ['h2', '\0\0\0\x04\0\0\0\0\0\0\0\x05\x01\x05\0\0\0\x01\xff\xff\xff\xff\xff'],
    ['h2', '\0\0\0\x04\0\0\0\0\0\xff\xff\xff\x01\x05\0\0\0\x01'],
  ]
  await Promise.all(
    nonsense.map(async ([protocol, bytes]) => {
      const tls = { cert: pki.server.certificate, key: pki.server.key, ALPNProtocols: [protocol] }
      const server = createTlsServer(tls, socket => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end(Buffer.from(bytes, 'latin1')))
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const origin = `https://localhost:${(server.address() as AddressInfo).port}`
      const client = createClient({ origin, identity, timeout: 3 })
      const failure = await client.fetch('/').catch((error: ClientError) => error)
      t.match(
        failure,
        { name: 'ClientError', code: 'timed_out', cause: { name: 'ClientError', cause: Error } },
        JSON.stringify(bytes.slice(0, 60)),
      )
      await client.close()
      server.close()
    }),
  )
})

t.test('a signal also ends a wait', async t => {
  const client = createClient({ origin: `https://localhost:${await findFreePort()}`, identity })
  t.teardown(() => client.close())
  await t.rejects(client.fetch('/', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
  const late = client.dispatcher.request({ path: '/', method: 'GET', signal: AbortSignal.timeout(50) })
  await t.rejects(late, { name: 'TimeoutError' })
})

t.test('reconnects to a restarted server, for waiting and for later requests', async t => {
  for (const http2 of [true, false]) {
    const { relay, origin, identity: alice, server } = await startServerBehindRelay(t)
    const client = createClient({ origin, identity: alice, http2 })
    t.teardown(() => client.close())
    await client.fetch('/api/whoami')
    relay.target = undefined
    relay.cut()
    const waiting = Array.from({ length: 10 }, () => client.fetch('/api/whoami'))
    await until(() => client.state().lastProblem?.code === 'cannot_connect')
    relay.target = server.port
    for (const answered of await Promise.all(waiting)) t.equal(answered.status, 200)
    t.equal((await client.fetch('/api/notes')).status, 200)
    t.notOk(server.events.some(({ event }) => event === 'token.refused'))
  }
})

t.test('twenty clients reconnect after a restart without flooding the server', async t => {
  const { relay, origin, identity: alice, server } = await startServerBehindRelay(t)
  const clients = Array.from({ length: 20 }, () => createClient({ origin, identity: alice }))
  t.teardown(() => Promise.all(clients.map(client => client.close())))
  const ask = () => Promise.all(clients.map(async client => (await client.fetch('/api/whoami')).status))
  t.ok((await ask()).every(status => status === 200))
  relay.target = undefined
  relay.cut()
  const back = ask()
  await until(() => clients.every(client => client.state().lastProblem !== null))
  const before = relay.count
  relay.target = server.port
  t.ok((await back).every(status => status === 200))
  t.equal(relay.count - before, 20, 'one connection per client')
})

t.test('the backoff grows with failures, is random, and ends with the first success', async t => {
  const [{ random }, { now }] = [Math, performance]
  performance.now = () => 1000
  t.teardown(() => {
    Math.random = random
    performance.now = now
  })
  for (const fraction of [0, 0.5, 1]) {
    Math.random = () => fraction
    const backoff = createBackoff()
    t.equal(backoff.left, 0)
    for (const most of [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]) {
      backoff.failed()
      t.equal(backoff.left, fraction * most)
    }
    backoff.succeeded()
    t.equal(backoff.left, 0)
    backoff.failed(2000)
    t.equal(backoff.left, 2000 + fraction * 100, 'the delay is that of the server plus jitter')
  }
})

t.test('a channel never reconnects, and reports its end', async t => {
  for (const http2 of [true, false]) {
    const { relay, origin, identity: alice } = await startServerBehindRelay(t)
    const channel = await connect(origin, alice, { http2 })
    const ask = () => channel.dispatcher.request({ path: '/binding', method: 'GET' })
    const { bindings, certificate } = (await (await ask()).body.json()) as { bindings: object; certificate: object }
    t.match(channel, { origin, protocol: http2 ? 'h2' : 'http/1.1', tls: 'TLSv1.3', bindings, open: true })
    t.match(certificate, { 'x5t#S256': channel.certificate })
    relay.cut()
    t.ok((await channel.closed) instanceof Error)
    t.equal(channel.open, false)
    await t.rejects(ask())
    await t.rejects(channel.token(), { code: 'token_unavailable' })
    t.equal(relay.count, 1)

    const other = await connect(origin, alice, { http2 })
    await other.close()
    t.match([await other.closed, other.open], [undefined, false], 'closing it is not reported as a problem')
    await t.rejects(ask())
  }
})

t.test('printing a channel or a client reveals no secret', async t => {
  const { server, origin, identity: alice } = await startServerBehindRelay(t)
  for (const http2 of [true, false])
    for (const tokenBinding of ['proof', 'connection'] as const) {
      const channel = await connect(origin, alice, { http2, tokenBinding })
      const client = createClient({ origin, identity: alice, http2, tokenBinding })
      t.teardown(() => Promise.all([channel.close(), client.close()]))
      await channel.token()
      await client.fetch('/api/whoami')
      const failure = await client.fetch('/', { headers: { authorization: 'x' } }).catch(error => error)
      const { dispatcher: _, ...facts } = channel
      const text = [facts, client, client.state(), failure]
        .map(value => inspect(value, { depth: 12, showHidden: true }))
        .join()
      t.notMatch(text, /eyJ|PRIVATE KEY|Bearer ey/, 'LK01')
      t.notOk(text.includes(alice.key.split('\n')[1] as string))
    }
  t.ok(server.events.length > 0)
})
