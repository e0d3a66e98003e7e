// Clients that are slow on purpose, two hundred at a time: heads, bodies, and responses that they never read. DS05; I7. The
// listener's timeouts, shorter here, free what they occupy, and others are served.
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { createSecureContext } from 'node:tls'
import t, { type Test } from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { requestText } from '../../helpers/server/raw-http.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(200_000) // most of it waits for the timeouts of slow clients
const many = 200
const few = 20
/** Seconds. */
const timeouts = { headers: 2, request: 2, idle: 2 }
const huge = Buffer.alloc(8_388_608, 'x')
const server = await startTestServer({
  tls: { timeouts },
  routes: app =>
    void app
      .get('/huge', () => huge)
      .get('/patient', () => new Promise(resolve => setTimeout(resolve, 2 * timeouts.idle * 1000, 'at last'))),
})
t.teardown(() => server.close())
let arrived = 0
server.app.server.on('secureConnection', () => void arrived++)
const identity = {
  servername: 'localhost',
  ca: server.pki.ca.certificate,
  cert: server.pki.alice.certificate,
  key: server.pki.alice.key,
}
const secureContext = createSecureContext(identity)
const first = await server.connect('alice')
const token = await first.token({ token_binding: 'certificate' })
first.close()
const bearer = `Authorization: Bearer ${token}`

/**
 * Opens slow connections, the same number of each kind, and waits until the server has closed them. Another client is served
 * meanwhile.
 */
async function outlast(t: Test, kinds: readonly (() => Promise<void>)[], count: number): Promise<void> {
  await until(() => server.tls.connections.size === 0) // connections of the previous test
  const before = arrived
  await Promise.all(Array.from({ length: count }, (_, index) => kinds[index % kinds.length]?.()))
  const begun = performance.now()
  const victim = await server.connect('alice')
  const statuses = new Set<number>()
  while (server.tls.connections.size > 1) {
    statuses.add((await victim.get('/api/whoami', token)).status)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.equal(arrived - before, count + 1)
  t.same([...statuses], [200], 'other clients are served')
  t.comment(`${count} of them were gone ${Math.round(performance.now() - begun)} ms after the last had come`)
  victim.close()
}

/** Opens an HTTP/1.1 connection that sends bytes, and then an octet each quarter of a second. */
async function drip(first: string, then = 'x'): Promise<void> {
  const { socket } = await server.connect('alice', { secureContext })
  socket.on('error', () => {}).write(first)
  const timer = setInterval(() => socket.write(then), 250)
  socket.once('close', () => clearInterval(timer))
}

/** Opens an HTTP/2 connection; resolves once it is established. */
async function openHttp2(port = server.port, settings = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ...identity, secureContext, settings })
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject))
  return session.on('error', () => {})
}

function ask(session: ClientHttp2Session, headers: object) {
  const options = { ':authority': 'localhost', authorization: `Bearer ${token}`, ...headers }
  return session.request(options).on('error', () => {})
}

t.test(`times out ${many} clients whose request heads never end (DS05)`, async t => {
  const nothing = async () => void (await server.connect('alice', { secureContext }))
  const head = () => drip('GET /api/whoami HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  const second = () => drip(requestText('GET /api/whoami', [bearer]), '') // kept open after its response, and never used again
  await outlast(t, [nothing, head, second], many)
})

t.test(`times out ${many} clients whose bodies never end (DS05)`, async t => {
  const json = 'Content-Type: application/json'
  const octets = () => drip(requestText('POST /api/notes', [bearer, json, 'Content-Length: 60000']))
  const chunks = () => drip(requestText('POST /api/notes', [bearer, json, 'Transfer-Encoding: chunked']), '1\r\nx\r\n')
  const http2 = async () => {
    const session = await openHttp2()
    const body = ask(session, { ':method': 'POST', ':path': '/api/notes', 'content-type': 'application/json' })
    const timer = setInterval(() => body.writable && body.write('x'), 250)
    body.once('close', () => clearInterval(timer))
  }
  await outlast(t, [octets, chunks, http2, http2], many)
})

t.test(`times out ${many} clients that keep a flow-control window shut, however often they ping (DS05)`, async t => {
  const shut = async () => {
    const session = await openHttp2(server.port, { initialWindowSize: 0 })
    ask(session, { ':path': '/api/whoami' })
    const timer = setInterval(() => session.destroyed || session.ping(() => {}), 250)
    session.once('close', () => clearInterval(timer))
  }
  await outlast(t, [shut], many)
})

t.test(`times out ${few} clients that do not read responses from the socket (DS05)`, async t => {
  const port = await startDeafRelay(t)
  const http1 = async () => {
    const { socket } = await server.connect('alice', { port, secureContext })
    socket.on('error', () => {}).write(requestText('GET /huge', [bearer]))
  }
  const http2 = async () => {
    const session = await openHttp2(port, { initialWindowSize: 2 ** 31 - 1 })
    session.setLocalWindowSize(2 ** 31 - 1)
    ask(session, { ':path': '/huge' }).resume()
  }
  await outlast(t, [http1, http2], few)
})

/** A relay in front of the server that stops reading after 100 000 octets of its response. */
async function startDeafRelay(t: Test): Promise<number> {
  const relay = createServer(client => {
    const there = connectTcp(server.port, '127.0.0.1')
    client.on('error', () => {}).pipe(there.on('error', () => {}))
    let length = 0
    there.on('data', bytes => {
      length += bytes.length
      client.write(bytes)
      if (length > 100_000) there.pause()
    })
    t.teardown(() => [client, there].map(socket => socket.destroy()))
  })
  t.teardown(() => relay.close())
  await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve))
  return (relay.address() as AddressInfo).port
}

t.test('serves clients that wait longer for a response, or read slowly', async t => {
  const wait = async (protocol: string) => {
    const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
    t.match(await connection.get('/patient', token), { status: 200, text: 'at last' }, protocol)
    connection.close()
  }
  const readSlowly = async () => {
    const { socket } = await server.connect('alice')
    const begun = performance.now()
    socket.write(requestText('GET /huge', [bearer, 'Connection: close']))
    let length = 0
    let pauses = 0
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      length += bytes.length
      // After each 64 KiB: how many octets arrive at once differs from Node to Node.
      for (; pauses * 65_536 < length; pauses++) await new Promise(resolve => setTimeout(resolve, 30))
    }
    t.ok(length > huge.length && performance.now() - begun > timeouts.idle * 1000)
  }
  await Promise.all([wait('http/1.1'), wait('h2'), readSlowly()])
})

t.test('limits an HTTP/2 connection to 128 concurrent requests (DS05)', async t => {
  const session = await openHttp2()
  t.equal(session.remoteSettings.maxConcurrentStreams, 128)
  session.close()
})
