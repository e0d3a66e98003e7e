// Failed handshakes are counted by what arrived, and logged at most once a minute for each kind. PROXY protocol §2; RFC 8446
// §6.2.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { createHandshakeLog, type HandshakeFailure, handshakeFailures } from '../../src/tls/failed-handshakes.ts'
import { scrape } from '../helpers/server/metrics.ts'
import { startRelay } from '../helpers/tls/raw-tls.ts'
import { until } from '../helpers/until.ts'

const server = await startTestServer({ ops: true })
t.teardown(() => server.close())

/** Sends octets without TLS, and waits until the server closes the connection. */
async function send(octets: string | Buffer): Promise<void> {
  const socket = connect(server.port, '127.0.0.1', () => (octets.length === 0 ? socket.end() : socket.write(octets)))
  await closed(socket.resume())
}

/** Starts a handshake that fails. */
async function shake(options: ConnectionOptions): Promise<void> {
  const socket = connectTls({ host: '127.0.0.1', port: server.port, servername: 'localhost', ...options })
  await closed(socket)
}

/** Runs a client that verifies the certificate of the server during the handshake, unlike Node. */
async function distrust(): Promise<void> {
  const other = join(t.testdir({ 'ca.crt': makeDemoPki().ca.certificate }), 'ca.crt')
  const options = ['-verify_return_error', '-CAfile', other, '-no-CApath', '-no-CAstore']
  await closed(spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, ...options], { stdio: 'ignore' }))
}

function closed(peer: NodeJS.EventEmitter): Promise<void> {
  return new Promise(resolve => peer.on('error', () => {}).once('close', () => resolve()))
}

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const old = { rejectUnauthorized: false, minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
const rows: readonly [failure: HandshakeFailure, name: string, fail: () => Promise<void>][] = [
  ['proxy_v1', 'a PROXY header before HTTP', () => send(`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${request}`)],
  ['proxy_v1', 'a PROXY header without addresses', () => send('PROXY UNKNOWN\r\n')],
  ['proxy_v2', 'a binary PROXY header', () => send(Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'))],
  ['http', 'GET', () => send(request)],
  ['http', 'a method that OpenSSL does not know', () => send('PROPFIND / HTTP/1.1\r\n\r\n')],
  ['http', 'CONNECT', () => send('CONNECT localhost:443 HTTP/1.1\r\n\r\n')],
  ['http2', 'the preface of HTTP/2', () => send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['ssh', 'SSH', () => send('SSH-2.0-OpenSSH_9.2\r\n')],
  ['unknown', 'a remote desktop', () => send(Buffer.from('030000130ee000000000000100080003000000', 'hex'))],
  ['unknown', 'an alert instead of a hello', () => send('P')],
  ['nothing', 'no octet', () => send('')],
  ['tls', 'the HTTP/2 preface', () => send(Buffer.from('15030300020228', 'hex'))],
  ['tls', 'a remote desktop client', () => shake({ ...old, minVersion: 'TLSv1.3', ALPNProtocols: ['ftp'] })],
  ['tls_version', 'TLS 1.0', () => shake({ ...old, maxVersion: 'TLSv1' })],
  ['tls_version', 'TLS 1.2, if 1.3 is the minimum', () => shake({ ...old, maxVersion: 'TLSv1.2' })],
  ['tls_alert', 'a client that trusts another authority', distrust],
  ['cut', 'a client that closes, because it trusts another authority', () => shake({})],
]

t.test('counts each failed handshake by what arrived', async t => {
  for (const [failure, name, fail] of rows) {
    const before = { ...server.tls.counts.failedHandshakes }
    await fail()
    await until(() => server.tls.counts.failedHandshakes[failure] === before[failure] + 1)
    t.same(server.tls.counts.failedHandshakes, { ...before, [failure]: before[failure] + 1 }, name)
  }
  const alice = await server.connect('alice')
  t.match(await alice.get('/api/whoami', await alice.token()), { status: 200 }, 'control')
  const shown = await scrape(server)
  for (const failure of Object.keys(handshakeFailures))
    t.equal(
      shown.get(`tlsbound_handshakes_failed_total{arrived="${failure}"}`),
      server.tls.counts.failedHandshakes[failure as HandshakeFailure],
      `the metric has ${failure}, also if it is zero`,
    )
})

t.test('logs what arrived, from which address, and what to do', async t => {
  const lines = server.log.filter(line => line.includes('TLS handshake failed')).map(line => JSON.parse(line))
  t.match(
    lines.find(({ failure }) => failure === 'proxy_v1'),
    {
      level: 40,
      peer: '127.0.0.1',
      peer_port: Number,
      count: 1,
      msg: /PROXY protocol header, version 1.*load balancer/,
    },
  )
  t.match(
    lines.find(({ failure }) => failure === 'tls_version'),
    { code: 'ERR_SSL_UNSUPPORTED_PROTOCOL' },
  )
  t.equal(lines.filter(({ failure }) => failure === 'http').length, 1, 'three requests without TLS are one line')
  t.notOk(
    lines.some(({ failure }) => failure === 'nothing'),
    'a health check is not logged',
  )
  t.notMatch(server.log.join(''), /192\.0\.2\.1|OpenSSH/, 'no received octets are logged')
  t.same(
    server.events.filter(({ event }) => event === 'connection.refused'),
    [],
  )
})

t.test('logs one line a minute for each failure, with a count', async t => {
  let now = 0
  const lines: object[] = []
  const note = createHandshakeLog({ warn: facts => void lines.push(facts) }, () => now)
  const fail = (failure: HandshakeFailure) => note({ failure, peer: '192.0.2.1', peer_port: 1 })
  for (; now < 120_000; now += 1000) fail('proxy_v2')
  fail('ssh')
  fail('proxy_v2')
  t.match(lines, [
    { failure: 'proxy_v2', count: 1 },
    { failure: 'proxy_v2', count: 60 },
    { failure: 'ssh', count: 1 },
    { failure: 'proxy_v2', count: 60 },
  ])
  t.equal(lines.length, 4)
})

t.test('completes a handshake that arrives octet by octet', async t => {
  const port = await startRelay(t, server.port, async function* (bytes) {
    for await (const part of bytes) for (const octet of part) yield Buffer.from([octet])
  })
  const alice = await server.connect('alice', { port })
  t.match(await alice.get('/binding'), { status: 200 })
})
