// Upstreams that lie, stall, break off or are not there: the client gets 502, 503 or 504 in time with a reason, a truncated response
// never looks complete, and no request is sent twice. GW03, GW04, GW08, GW11, GW14.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createTls } from 'node:https'
import { type AddressInfo, createServer as createPlain } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { demoRegistrations } from '../../src/process/demo.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { makeFolder } from '../helpers/client/sidecar.ts'
import { startGateway, startRawUpstream, startUpstream } from '../helpers/server/gateway.ts'
import { scrape } from '../helpers/server/metrics.ts'
import { requestText } from '../helpers/server/raw-http.ts'
import { until } from '../helpers/until.ts'

const protocols = ['http/1.1', 'h2']

/** Answers of an upstream that then closes, and the detail of the 502. */
const bad: Readonly<Record<string, readonly [octets: string, detail: string]>> = {
  nothing: ['', 'cut_off'],
  'half a head': ['HTTP/1.1 200 OK\r\nContent-Le', 'cut_off'],
  'no HTTP': ['SSH-2.0-OpenSSH_9.2\r\n', 'response_malformed'],
  'two lengths': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi', 'response_malformed'],
  'a length and chunks': [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    'response_malformed',
  ],
  'a transfer coding besides chunks': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    'unfit',
  ],
  'a control character in a field (GW14)': [
    'HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nhi',
    'response_malformed',
  ],
  'a line feed in a field (GW14)': [
    'HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\rX-C: c\r\nContent-Length: 2\r\n\r\nhi',
    'response_malformed',
  ],
  'a field without end': [`HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)}\r\n`, 'response_malformed'],
  'a switch of protocols': ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', 'cut_off'],
}

for (const [name, [octets, detail]] of Object.entries(bad))
  t.test(`answers ${name} with 502, sends the request once, and serves the next one`, async t => {
    let lie = true
    const upstream = await startRawUpstream(t, socket => {
      socket.end(lie ? octets : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'latin1')
    })
    const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
    for (const protocol of protocols) {
      const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
      lie = true
      const before = upstream.received.length
      t.match(await alice.get('/x'), {
        status: 502,
        body: { error: 'temporarily_unavailable', reason: 'upstream_failed' },
      })
      t.match(server.events.at(-1), {
        reason: 'upstream_failed',
        detail,
        status: 502,
        facts: { address: upstream.address },
      })
      t.equal(upstream.received.length, before + 1, 'sent once')
      lie = false
      t.match(await alice.get('/x'), { status: 200, text: 'hi' }, 'the connection of the client goes on')
    }
  })

t.test('answers a head that HTTP/2 cannot send with 502, and serves the next one', async t => {
  const heads = {
    'a status above 599': '600 X\r\nX-Odd: 1',
    'a second value': '200 OK\r\nX-Odd: 1\r\nETag: "a"\r\nETag: "b"',
  }
  let head = ''
  const upstream = await startRawUpstream(t, socket => socket.end(`HTTP/1.1 ${head}\r\nContent-Length: 2\r\n\r\nhi`))
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice', { ALPNProtocols: ['h2'] })
  for (const [name, octets] of Object.entries(heads)) {
    head = octets
    const { status, body, headers } = await alice.get('/x')
    t.match({ status, body }, { status: 502, body: { reason: 'upstream_failed' } }, name)
    t.notOk('x-odd' in headers, 'no field of the upstream')
    t.match(server.events.at(-1), { reason: 'upstream_failed', detail: 'unfit', status: 502 })
    head = '200 OK'
    t.match(await alice.get('/x'), { status: 200, text: 'hi' }, 'the connection of the client goes on')
  }
})

const truncated: Readonly<Record<string, string>> = {
  'fewer octets than the length': 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
  'chunks without the last one': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'an invalid chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0x4\r\n',
}
t.test('a truncated response reaches the client as a truncated one', async t => {
  for (const [name, octets] of Object.entries(truncated)) {
    const upstream = await startRawUpstream(t, socket => void socket.end(octets, 'latin1'))
    const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
    for (const protocol of protocols) {
      const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
      await t.rejects(alice.get('/x'), `${name}, ${protocol}`)
    }
  }
})

t.test('passes on no more octets than the length, and nothing of them as another response', async t => {
  const upstream = await startRawUpstream(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  t.match(await alice.get('/x'), { status: 200, text: 'hi' })
  t.match(await alice.get('/x'), { status: 200, text: 'hi' }, 'not the second response, on another connection')
  t.equal(upstream.received.length, 2)
})

t.test('passes a redirect on, and follows none (GW03, GW11)', async t => {
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(302, { location: `http://${request.headers.host}/x` }).end()
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  t.match(await alice.get('/x'), { status: 302, headers: { location: `${upstream.address}/x` } })
  t.equal(upstream.seen.length, 1)
})

async function startStalling(t: Test, answer: string, timeout = 1) {
  const upstream = await startRawUpstream(t, socket => void socket.write(answer))
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true, timeout }])
  return { upstream, server }
}

t.test('answers 504 to a stalled upstream, and ends that request', async t => {
  for (const answer of ['', 'HTTP/1.1 200 OK\r\n']) {
    const { upstream, server } = await startStalling(t, answer)
    for (const protocol of protocols) {
      const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
      t.match(await alice.get('/x'), { status: 504, body: { reason: 'upstream_timeout' } })
      t.match(server.events.at(-1), { detail: 'no_response', facts: { limit: 1 } })
    }
    await until(() => upstream.sockets.size === 0)
  }
})

t.test('interim responses without end do not extend the time', async t => {
  let timer: NodeJS.Timeout | undefined
  const upstream = await startRawUpstream(t, socket => {
    timer ??= setInterval(() => socket.writable && socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'), 5)
  })
  t.teardown(() => clearInterval(timer))
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true, timeout: 1 }])
  const alice = await server.connect('alice')
  t.match(await alice.get('/x'), { status: 504 })
  await until(() => upstream.sockets.size === 0)
})

t.test('answers 503 where no connection can be opened, and 504 where none is answered', async t => {
  const closed = createPlain().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  await new Promise(done => closed.close(done))
  const server = await startGateway(t, [
    { path: '/refused', upstream: `http://127.0.0.1:${port}`, public: true },
    { path: '/socket', upstream: 'unix:/nowhere/x.sock', public: true },
    { path: '/unknown', upstream: 'http://name.invalid', public: true },
  ])
  const alice = await server.connect('alice')
  for (const path of ['/refused', '/socket', '/unknown']) {
    t.match(await alice.get(path), {
      status: 503,
      headers: { 'retry-after': '1' },
      body: { reason: 'upstream_unavailable' },
    })
    t.match(server.events.at(-1), { detail: 'unreachable', path })
  }
})

t.test('verifies the certificate of an https upstream, and presents its own', async t => {
  const pki = makeDemoPki()
  const { server: identity, ca, alice: client } = pki
  const upstream = createTls(
    { cert: identity.certificate, key: identity.key, ca: ca.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const { subject } = (request.socket as import('node:tls').TLSSocket).getPeerCertificate()
      response.end(subject.CN)
    },
  ).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  const { port } = upstream.address() as AddressInfo
  const folder = makeFolder(t)
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 })
  write('ca.crt', ca.certificate)
  write('client.crt', client.certificate)
  write('client.key', client.key)
  const files = { ca_file: 'ca.crt', cert_file: 'client.crt', key_file: 'client.key' }
  const absolute = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)]))
  const server = await startGateway(t, [
    { path: '/good', upstream: `https://localhost:${port}`, public: true, ...absolute },
    { path: '/untrusted', upstream: `https://localhost:${port}`, public: true },
    { path: '/name', upstream: `https://127.0.0.2:${port}`, public: true, ...absolute },
    { path: '/nobody', upstream: `https://localhost:${port}`, public: true, ca_file: join(folder, 'ca.crt') },
  ])
  const alice = await server.connect('alice')
  t.match(await alice.get('/good'), { status: 200, text: 'alice' })
  t.match(await alice.get('/untrusted'), { status: 503 })
  t.match(server.events.at(-1), { detail: 'not_trusted' })
  t.match(await alice.get('/name'), { status: 503 })
  t.match(await alice.get('/nobody'), { status: /50[23]/ })
})

t.test('bounds what is under way to one upstream', async t => {
  const waiting: (() => void)[] = []
  const upstream = await startUpstream(t, (_request, response) => void waiting.push(() => response.end('late')))
  const server = await startGateway(t, [
    { path: '/slow', upstream: upstream.address, public: true },
    { path: '/other', upstream: (await startUpstream(t)).address, public: true },
  ])
  const clients = await Promise.all(Array.from({ length: 9 }, () => server.connect('alice', { ALPNProtocols: ['h2'] })))
  const answers = clients.flatMap(client => Array.from({ length: 114 }, () => client.get('/slow')))
  const done = await Promise.race(answers)
  t.match(done, { status: 503, body: { reason: 'upstream_unavailable' } })
  t.match(server.events.at(-1), { detail: 'busy', facts: { limit: 1024 } })
  t.match(await clients[0]?.get('/other'), { status: 200 }, 'other upstreams are not affected')
  await until(() => waiting.length >= 256)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(waiting.length, 256, 'connections of the pool')
  const timer = setInterval(() => {
    for (const end of waiting.splice(0)) end()
  }, 5)
  t.teardown(() => clearInterval(timer))
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  t.equal(statuses.filter(status => status === 200).length, 1024)
  t.equal(statuses.filter(status => status === 503).length, 2)
})

t.test('a request that waits for a connection is not sent after its client has gone', async t => {
  const waiting: (() => void)[] = []
  const upstream = await startUpstream(t, (_request, response) => void waiting.push(() => response.end('late')))
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const clients = await Promise.all(Array.from({ length: 3 }, () => server.connect('alice', { ALPNProtocols: ['h2'] })))
  const served = clients.slice(0, 2).flatMap(client => Array.from({ length: 128 }, () => client.get('/first')))
  await until(() => waiting.length === 256)
  const gone = clients[2]?.get('/gone') as Promise<unknown>
  await new Promise(resolve => setTimeout(resolve, 200))
  clients[2]?.close()
  await t.rejects(gone)
  await new Promise(resolve => setTimeout(resolve, 200))
  for (const end of waiting.splice(0)) end()
  await Promise.all(served)
  const alice = await server.connect('alice')
  const control = alice.get('/control')
  await until(() => waiting.length === 1)
  waiting[0]?.()
  t.match(await control, { status: 200 })
  t.same(
    upstream.seen.filter(({ url }) => url === '/gone'),
    [],
  )
})

t.test('a request on a kept connection that the upstream closes is answered with 502, and not sent again', async t => {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (received.includes('/second')) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  t.match(await alice.get('/first'), { status: 200 })
  for (const method of ['GET', 'POST']) {
    t.match(await alice.call('/second', { method, ...(method === 'POST' && { body: 'x' }) }), { status: 502 }, method)
    t.match(server.events.at(-1), { detail: 'cut_off' })
  }
  t.equal(upstream.received.join('').match(/ \/second /g)?.length, 2, 'each was sent once')
  t.match(upstream.received[0], /first.*second/s, 'the first of them on the kept connection')
})

t.test('a client that goes away ends its request to the upstream', async t => {
  const upstream = await startRawUpstream(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  const first = once(alice.socket, 'data')
  alice.socket.write(requestText('GET /x', []))
  await first
  t.equal(upstream.sockets.size, 1)
  alice.close()
  await until(() => upstream.sockets.size === 0)
  const silent = await startRawUpstream(t, () => {})
  const other = await startGateway(t, [{ path: '/', upstream: silent.address, public: true }], { ops: true })
  const gone = {
    'http/1.1': [],
    h2: [],
    'WebSocket over http/1.1': ['Connection: Upgrade', 'Upgrade: websocket'],
  }
  for (const [index, [kind, fields]] of Object.entries(gone).entries()) {
    const protocol = kind === 'h2' ? 'h2' : 'http/1.1'
    const bob = await other.connect('bob', { ALPNProtocols: [protocol] })
    if (protocol === 'h2') bob.get('/x').catch(() => {})
    else bob.socket.write(requestText('GET /x', fields))
    await until(() => silent.sockets.size === 1)
    bob.close()
    await until(() => silent.sockets.size === 0)
    t.equal(silent.received.length, index + 1)
    const counted = await scrape(other)
    t.equal(counted.get('tlsbound_gateway_requests_total{route="/",outcome="aborted"}'), index + 1, kind)
  }
})

t.test('a request whose client goes away while its token is verified is not sent', async t => {
  const inner = openSqlite(':memory:')
  let release: (() => void)[] = []
  let isSlow = false
  const store: Store = {
    ...inner,
    async findAccessToken(hash) {
      if (isSlow) await new Promise<void>(done => void release.push(done))
      return inner.findAccessToken(hash)
    },
  }
  const [alices] = demoRegistrations
  const clients = [{ ...alices, access_token_format: 'opaque' }]
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address }], { store, clients, ops: true })
  const token = await (await server.connect('alice')).token({ token_binding: 'certificate' })
  isSlow = true
  for (const protocol of protocols) {
    const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
    const answer = alice.get('/gone', token)
    await until(() => release.length === 1)
    alice.close()
    await t.rejects(answer)
    await new Promise(resolve => setTimeout(resolve, 100))
    for (const done of release) done()
    release = []
    await new Promise(resolve => setTimeout(resolve, 100))
    t.same(upstream.seen, [], protocol)
  }
  const counted = await scrape(server)
  t.equal(counted.get('tlsbound_gateway_requests_total{route="/",outcome="aborted"}'), 2)
  isSlow = false
  t.match(await (await server.connect('alice')).get('/control', token), { status: 200 })
})

t.test('answers 502 where the upstream switches to another protocol than that of the request', async t => {
  const upstream = await startRawUpstream(t, socket => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const { socket } = await server.connect('alice')
  const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' }
  const lines = Object.entries(upgrade).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET /chat HTTP/1.1\r\nHost: localhost:${server.port}\r\n${lines.join('')}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 502 /)
  t.match(server.events.at(-1), { reason: 'upstream_failed', detail: 'unfit', status: 502 })
})

t.test('answers 504 where the upstream completes no connection', async t => {
  // It accepts none, and its queue is full.
  const full = [
    'import socket, sys',
    'server = socket.socket()',
    'server.bind(("127.0.0.1", 0))',
    'server.listen(0)',
    'port = server.getsockname()[1]',
    'waiting = [socket.socket() for _ in range(4)]',
    'for one in waiting:',
    '    one.setblocking(False)',
    '    one.connect_ex(("127.0.0.1", port))',
    'print(port, flush=True)',
    'sys.stdin.read()',
  ]
  const python = spawn('python3', ['-c', full.join('\n')])
  t.teardown(() => python.kill())
  const [line] = (await once(python.stdout, 'data')) as [Buffer]
  const upstream = `http://127.0.0.1:${Number(line.toString())}`
  const server = await startGateway(t, [{ path: '/', upstream, public: true }])
  t.match(await (await server.connect('alice')).get('/x'), { status: 504, body: { reason: 'upstream_timeout' } })
  t.match(server.events.at(-1), { reason: 'upstream_timeout', detail: 'connect', facts: { address: upstream } })
})
