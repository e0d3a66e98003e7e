// A server behind load balancers that send a PROXY protocol header: HAProxy and nginx, and headers written by hand. Connections
// from 127.0.0.1 must have a header, all others must not.
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer, type TestConnection } from '../../src/testing/server.ts'
import type { HandshakeFailure } from '../../src/tls/failed-handshakes.ts'
import { openStream } from '../helpers/server/live.ts'
import { scrape } from '../helpers/server/metrics.ts'
import { startHaproxy, startNginx } from '../helpers/tls/balancers.ts'
import { addresses4, addresses6, buildHeader } from '../helpers/tls/proxy-header.ts'
import { buildHello, startRelay } from '../helpers/tls/raw-tls.ts'
import { until } from '../helpers/until.ts'

const server = await startTestServer({
  ops: true,
  env: { TLSBOUND_PROXY_PROTOCOL_FROM: '127.0.0.1, 2001:db8::/32' },
  tls: { timeouts: { handshake: 1, idle: 3600 } },
  routes: app => void app.get('/address', ({ ip }) => ({ ip })),
})
t.teardown(() => server.close())
const client = '127.0.0.7'

/** Options of a connection from this address, which Node's types do not have. */
const from = (localAddress: string): object => ({ localAddress })

/** Refuses a request through a connection, and returns its event. */
async function provoke(connection: TestConnection) {
  t.match(await connection.get('/api/whoami'), { status: 401 })
  return server.events.at(-1)
}

/** Uses a connection, and compares the address that the server shows everywhere. */
async function compareAddress(t: Test, connection: TestConnection, peer: string, peer_port: unknown) {
  const token = await connection.token()
  t.match(server.events.at(-1), { event: 'token.issued', peer, peer_port })
  t.same((await connection.get('/address', token)).body, { ip: peer })
  t.match(await provoke(connection), { event: 'token.refused', peer, peer_port })
}

const header = (text: string) => Buffer.from(`PROXY ${text}\r\n`)
const mapped = '00000000000000000000ffffc0000207'
const headers: readonly [name: string, header: Buffer, peer: string, port?: number][] = [
  ['version 1', header('TCP4 192.0.2.1 198.51.100.1 56324 443'), '192.0.2.1', 56_324],
  ['version 1 over IPv6', header('TCP6 2001:db8:0::1 2001:db8::2 56324 443'), '2001:db8::1', 56_324],
  ['version 2', buildHeader(0x21, 0x11, addresses4), '192.0.2.1', 56_324],
  ['version 2 over IPv6', buildHeader(0x21, 0x21, addresses6), '2001:db8::1', 56_324],
  ['a mapped address', buildHeader(0x21, 0x21, addresses6, Buffer.alloc(0), mapped), '192.0.2.7', 56_324],
  ['LOCAL', buildHeader(0x20, 0), '127.0.0.1'],
  ['UNKNOWN', header('UNKNOWN'), '127.0.0.1'],
]

/** Passes a client's octets on behind a header, all at once or one by one. */
function startBalancer(t: Test, before: Buffer, isSplit: boolean): Promise<number> {
  return startRelay(t, server.port, async function* (bytes) {
    let pending: Buffer | undefined = before
    for await (const part of bytes) {
      const octets: Buffer = pending === undefined ? part : Buffer.concat([pending, part])
      pending = undefined
      if (!isSplit) yield octets
      else for (const octet of octets) yield Buffer.from([octet])
    }
  })
}

for (const isSplit of [false, true])
  t.test(
    `takes the address from a header that comes ${isSplit ? 'octet by octet' : 'with the first octets of TLS'}`,
    async t => {
      for (const [name, before, peer, port = Number] of headers) {
        t.comment(name)
        const connection = await server.connect('alice', { port: await startBalancer(t, before, isSplit) })
        await compareAddress(t, connection, peer, port)
        connection.close()
      }
    },
  )

t.test('serves clients of HAProxy and nginx, over HTTP/1.1 and HTTP/2, with their own addresses', async t => {
  const folder = t.testdir()
  const [v1, v2, checked, nginx] = await Promise.all([findFreePort(), findFreePort(), findFreePort(), findFreePort()])
  await startHaproxy(t, folder, server.port, {
    [v1]: 'send-proxy check inter 100ms',
    [v2]: 'send-proxy-v2',
    [checked]: 'send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 100ms',
  })
  await startNginx(t, folder, server.port, nginx)
  const before = { ...server.tls.counts.failedHandshakes }
  for (const port of [v1, v2, checked, nginx])
    for (const ALPNProtocols of [['http/1.1'], ['h2']]) {
      const connection = await server.connect('alice', { port, ...from(client), ALPNProtocols })
      await compareAddress(t, connection, client, connection.socket.localPort)
      const live = await openStream(server)
      const peer = `${client}:${connection.socket.localPort}`
      t.ok(JSON.stringify(await live.next()).includes(peer), 'the live page shows it')
      live.close()
      connection.close()
    }
  await until(() => server.tls.counts.failedHandshakes.nothing > before.nothing + 2) // health checks
  const { nothing: _nothing, ...failed } = server.tls.counts.failedHandshakes
  t.match(before, failed, 'no health check is a failure')
})

/** Sends octets without TLS, and waits until the server closes the connection. */
async function send(octets: Buffer | string, localAddress: string): Promise<void> {
  const socket = connect({ port: server.port, host: '127.0.0.1', localAddress }, () => socket.write(octets))
  await closed(socket)
}

const closed = (socket: Socket) =>
  new Promise<void>(resolve => {
    socket
      .on('error', () => {})
      .resume()
      .once('close', () => resolve())
  })

const line = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'
const hello = buildHello()
const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const refused: readonly [
  failure: HandshakeFailure,
  name: string,
  source: string,
  octets: Buffer | string,
  found?: RegExp,
][] = [
  ['proxy_v1', 'a stranger with a header', client, line, /version 1/],
  ['proxy_v1', 'a stranger with a header before TLS', client, Buffer.concat([Buffer.from(line), hello]), /version 1/],
  ['proxy_v2', 'a stranger with a binary header', client, buildHeader(0x21, 0x11, addresses4), /version 2/],
  ['proxy_missing', 'a balancer without a header', '127.0.0.1', hello, /TLS/],
  ['proxy_missing', 'a balancer with HTTP', '127.0.0.1', request, /HTTP request without TLS/],
  ['proxy_missing', 'a balancer with noise', '127.0.0.1', Buffer.alloc(100_000, 0xff), /unknown/],
  ['proxy_invalid', 'an invalid address', '127.0.0.1', 'PROXY TCP4 localhost 198.51.100.1 1 2\r\n', /TCP4/],
  ['proxy_invalid', 'a line without end', '127.0.0.1', Buffer.alloc(100_000, 'PROXY '), /longer/],
  ['proxy_invalid', 'a header of 64 KiB', '127.0.0.1', buildHeader(0x21, 0x11, Buffer.alloc(65_535)), /longer/],
  [
    'proxy_invalid',
    'a field that lies',
    '127.0.0.1',
    buildHeader(0x21, 0x11, addresses4, Buffer.from([4, 255, 0])),
    /field/,
  ],
  ['proxy_invalid', 'a header that is never complete', '127.0.0.1', 'PROXY TCP4 192.0.2.1', /ended within/],
  ['proxy_v1', 'two headers', '127.0.0.1', line + line, /version 1/],
  [
    'proxy_v2',
    'a header of each version',
    '127.0.0.1',
    Buffer.concat([Buffer.from(line), buildHeader(0x20, 0)]),
    /version 2/,
  ],
  ['http', 'HTTP behind a header', '127.0.0.1', line + request],
]

t.test('closes a connection with a wrong, missing or forbidden header, and says why', async t => {
  for (const [failure, name, source, octets, found] of refused) {
    const [before, events] = [{ ...server.tls.counts.failedHandshakes }, server.events.length]
    const start = performance.now()
    await send(octets, source)
    t.ok(performance.now() - start < 1800, `${name}: closed within the deadline of a handshake`)
    await until(() => server.tls.counts.failedHandshakes[failure] > before[failure])
    t.same(server.tls.counts.failedHandshakes, { ...before, [failure]: before[failure] + 1 }, `${name}: ${failure}`)
    if (found === undefined) continue
    const detail = failure.startsWith('proxy_v') ? 'proxy_header_not_allowed' : failure.replace('proxy', 'proxy_header')
    const peer = name.includes('header of each') || name === 'two headers' ? '192.0.2.1' : source
    const event = { event: 'connection.refused', reason: 'malformed_request', detail, facts: { found }, peer }
    t.match(server.events.slice(events), [event], `${name}: event`)
  }
  const shown = await scrape(server)
  for (const arrived of ['proxy_v1', 'proxy_v2', 'proxy_missing', 'proxy_invalid'] as const) {
    const metric = shown.get(`tlsbound_handshakes_failed_total{arrived="${arrived}"}`)
    t.equal(metric, server.tls.counts.failedHandshakes[arrived])
    const lines = server.log.filter(text => text.includes(`"failure":"${arrived}"`)).map(text => JSON.parse(text))
    t.match(
      lines,
      [{ level: 40, count: 1, found: String, msg: /PROXY protocol header/ }],
      `${arrived}: one line a minute`,
    )
  }
})

t.test('serves a stranger without a header, as always', async t => {
  const connection = await server.connect('alice', from(client))
  await compareAddress(t, connection, client, connection.socket.localPort)
})

t.test('names the client of a handshake that fails behind a header', async t => {
  const port = await startBalancer(t, header('TCP4 192.0.2.99 198.51.100.1 7 443'), false)
  await closed(connectTls({ port, host: '127.0.0.1', maxVersion: 'TLSv1.2', rejectUnauthorized: false }))
  await until(() => server.log.some(text => text.includes('"failure":"tls_version"')))
  const [first] = server.log.filter(text => text.includes('"failure":"tls_version"'))
  t.match(JSON.parse(first as string), { peer: '192.0.2.99', peer_port: 7 })
})

t.test('ends a handshake by its deadline, which the header does not extend', async t => {
  const socket = connect(server.port, '127.0.0.1')
  const start = performance.now()
  const timer = setInterval(() => socket.write(line.slice(sent, ++sent) || '\x16'), 30)
  let sent = 0
  await closed(socket)
  clearInterval(timer)
  const took = performance.now() - start
  t.ok(took > 800 && took < 2500, `closed after ${Math.round(took)} ms`)
})

t.test('serves 200 connections at once, each with the address of its own header', async t => {
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const socket = connect(server.port, '127.0.0.1')
      const address = `198.18.${index >> 6}.${index & 63}`
      socket.write(`PROXY TCP4 ${address} 198.51.100.1 ${1000 + index} 443\r\n`)
      const { certificate: cert, key } = server.pki.alice
      const ca = server.pki.ca.certificate
      const tls = connectTls({ socket, servername: 'localhost', ca, cert, key, ALPNProtocols: ['http/1.1'] })
      tls.write('GET /api/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      await closed(tls)
      const found = server.events.some(
        event =>
          (event as { peer: string }).peer === address && (event as { peer_port: number }).peer_port === 1000 + index,
      )
      if (!found) t.fail(`no event of ${address}`)
    }),
  )
  t.equal(server.tls.counts.failedHandshakes.proxy_missing, 3)
})
