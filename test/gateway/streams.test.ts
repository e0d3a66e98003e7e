// Bodies in both directions: streamed, not collected, and not cut by the deadline of a request that is read whole.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { TestServer } from '../../src/testing/server.ts'
import { type GatewayServer, startGateway, startRawUpstream, startUpstream } from '../helpers/server/gateway.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)

const open = { path: '/', public: true }
const megabyte = Buffer.alloc(1_048_576, 'x')
const most = 200

/** The client of a server for Node's https. */
function clientOf({ pki: { ca, alice }, port }: TestServer, t: Test) {
  const agent = new Agent({
    ca: ca.certificate,
    cert: alice.certificate,
    key: alice.key,
    keepAlive: true,
    servername: 'localhost',
  })
  t.teardown(() => agent.destroy())
  return { agent, port, host: '127.0.0.1', headers: { host: 'localhost' } }
}

function* megabytes() {
  for (let count = 0; count < most; count++) yield megabyte
}

for (const protocol of ['http/1.1', 'h2'])
  t.test(`${most} MB up and down over ${protocol} take no memory`, async t => {
    let received = 0
    const upstream = await startUpstream(t, (request, response) => {
      if (request.method === 'GET') return void Readable.from(megabytes()).pipe(response)
      request.on('data', chunk => {
        received += chunk.length
      })
      request.on('end', () => response.end('done'))
    })
    const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
    const before = process.memoryUsage().rss
    let highest = 0
    const timer = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage().rss)
    }, 20)
    t.teardown(() => clearInterval(timer))
    const count = async (body: AsyncIterable<Buffer>) => {
      let length = 0
      for await (const chunk of body) length += chunk.length
      return length
    }
    if (protocol === 'h2') {
      const { ca, alice } = server.pki
      const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
      t.teardown(() => session.destroy())
      const sent = session.request({ ':method': 'POST', ':path': '/up' })
      Readable.from(megabytes()).pipe(sent)
      t.equal(await count(sent), 4)
      t.equal(await count(session.request({ ':path': '/down' })), most * megabyte.length)
    } else {
      const client = clientOf(server, t)
      const sent = httpsRequest({ ...client, method: 'POST', path: '/up' })
      Readable.from(megabytes()).pipe(sent)
      const [answer] = await once(sent, 'response')
      t.equal(await count(answer), 4)
      const [down] = await once(httpsRequest({ ...client, path: '/down' }).end(), 'response')
      t.equal(await count(down), most * megabyte.length)
    }
    t.equal(received, most * megabyte.length)
    const grown = (highest - before) / megabyte.length
    t.ok(grown < 150, `memory grew by ${Math.round(grown)} MB, with client and upstream in this process`)
  })

t.test('a slow reader slows the upstream down, and a slow upstream the client', async t => {
  let written = 0
  const upstream = await startUpstream(t, (request, response) => {
    if (request.method === 'POST') return // reads nothing
    const more = () => {
      do written += megabyte.length
      while (response.write(megabyte))
    }
    response.on('drain', more)
    more()
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address, timeout: 3 }])
  const alice = await server.connect('alice')
  alice.socket.pause()
  alice.socket.write(requestText('GET /x', []))
  await pause(1000)
  t.ok(written < 40 * megabyte.length, `${written} octets were taken from the upstream`)
  const client = clientOf(server, t)
  const sent = httpsRequest({ ...client, method: 'POST', path: '/up' })
  sent.on('error', () => {})
  let taken = 0
  const give = () => {
    do taken++
    while (sent.write(megabyte))
  }
  sent.on('drain', give)
  give()
  await pause(1000)
  t.ok(taken < 40, `${taken} MB were taken from the client`)
  sent.destroy()
})

t.test('an event stream reaches the client event by event', async t => {
  let send = (_text: string): void => {}
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    send = text => void response.write(text)
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address, timeout: 1 }])
  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  const client = clientOf(server, t)
  const [answer] = await once(httpsRequest({ ...client, path: '/events' }).end(), 'response')
  t.match(answer.headers, { 'content-type': 'text/event-stream' }, 'the head comes before the first event')
  for (const text of ['one', 'two']) {
    const next = once(answer, 'data')
    send(text)
    t.equal(String(await next), text)
    await pause(1100) // longer than the timeout, which ends with the head
  }
  answer.destroy()
  const stream = session.request({ ':path': '/events' })
  t.match(await once(stream, 'response'), [{ ':status': 200 }])
  const next = once(stream, 'data')
  send('three')
  t.equal(String(await next), 'three')
})

t.test('trailers of the response are passed on, those that could be taken for the head are not', async t => {
  const upstream = await startRawUpstream(t, socket => {
    const trailers = 'X-Checksum: 1\r\nContent-Type: text/x\r\nSet-Cookie: a=b\r\n'
    socket.write(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n2\r\nhi\r\n0\r\n${trailers}\r\n`,
    )
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
  const [answer] = await once(httpsRequest({ ...clientOf(server, t), path: '/x' }).end(), 'response')
  await once(answer.resume(), 'end')
  t.same(answer.trailers, { 'x-checksum': '1' })
  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  const [trailers] = await once(session.request({ ':path': '/x' }).resume(), 'trailers')
  t.match(trailers, { 'x-checksum': '1' })
  t.notOk(trailers['set-cookie'])
})

t.test('early hints reach the client, ten of them and no other interim response', async t => {
  const upstream = await startRawUpstream(t, socket => {
    const hint = (link: string) => `HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\nSet-Cookie: a=b\r\n\r\n`
    const good = hint('</a.css>; rel=preload; as=style')
    const others = ['HTTP/1.1 102 Processing\r\n\r\n', hint('no link'), 'HTTP/1.1 103 Early Hints\r\n\r\n']
    socket.write(`${others.join('')}${good.repeat(20)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi`)
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
  const expected = { link: '</a.css>; rel=preload; as=style' }
  const seen: object[] = []
  const request = httpsRequest({ ...clientOf(server, t), path: '/x' }).end()
  request.on('information', ({ statusCode, headers }) => void seen.push({ statusCode, ...headers }))
  const [answer] = await once(request, 'response')
  t.equal(answer.statusCode, 200)
  answer.resume()
  t.same(
    seen,
    Array.from({ length: 8 }, () => ({ statusCode: 103, ...expected })),
    'two of ten could not be passed on',
  )
  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/x' }).resume()
  const hints: object[] = []
  stream.on('headers', headers => void hints.push({ ...headers }))
  const [head] = await once(stream, 'response')
  t.equal(head[':status'], 200)
  t.equal(hints.length, 8)
  t.match(hints[0], { ':status': 103, ...expected })
  t.notOk('set-cookie' in (hints[0] ?? {}))
  const old = 'GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n'
  const { answers } = await exchange(await server.connect('alice'), old, { until: 1 })
  t.match(answers, [{ status: 200, text: 'hi' }], 'HTTP/1.0 has no interim responses')
})

async function startWaiting(t: Test) {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, scope: 'notes:read' }])
  const alice = await server.connect('alice')
  const token = await alice.token({ token_binding: 'certificate' })
  return { upstream, server, token }
}

t.test('Expect: 100-continue is answered once the token is verified', async t => {
  const { upstream, server, token } = await startWaiting(t)
  const send = (headers: readonly string[]) =>
    requestText('POST /x', ['Expect: 100-continue', 'Content-Length: 5', ...headers])
  const alice = await server.connect('alice')
  const good = exchange(alice, send([`Authorization: Bearer ${token}`]), { until: 1 })
  await once(alice.socket, 'data')
  alice.socket.write('hello')
  t.match(await good, { received: /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /, answers: [{ status: 200 }] })
  t.match(upstream.seen, [{ body: 'hello' }])
  t.notOk(upstream.seen[0]?.headers.expect)

  const refused = await exchange(await server.connect('alice'), send([]), { until: 'closed' })
  t.match(refused, { answers: [{ status: 401 }] })
  t.notMatch(refused.received, /100 Continue/, 'a refused body is not asked for')
  t.equal(upstream.seen.length, 1)

  const form = 'grant_type=client_credentials&client_id=alice'
  const type = 'Content-Type: application/x-www-form-urlencoded'
  const other = await server.connect('alice')
  const head = requestText('POST /oauth/token', ['Expect: 100-continue', `Content-Length: ${form.length}`, type])
  const answered = exchange(other, head, { until: 1 })
  t.match(String(await once(other.socket, 'data')), /^HTTP\/1\.1 100 /, 'also by the endpoints of the server')
  other.socket.write(form)
  t.match(await answered, { answers: [{ status: 200 }] })
  const { ca, alice: identity } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: identity.certificate, key: identity.key })
  t.teardown(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': '/x',
    expect: '100-continue',
    authorization: `Bearer ${token}`,
  })
  await once(stream, 'continue')
  stream.end('two')
  t.match(await once(stream, 'response'), [{ ':status': 200 }])
  t.equal(upstream.seen[1]?.body, 'two')
})

/** Sends a body in steps that together take longer than the deadline of a whole request. */
async function sendSlowly(write: (text: string) => void, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 5; step++) {
    write('x')
    await pause(200)
  }
}

t.test('an upload may take longer than the deadline of a whole request, but must go on', async t => {
  const form = 'Content-Type: application/x-www-form-urlencoded'
  const upstream = await startUpstream(t)
  const tls = { timeouts: { request: 1, headers: 1, idle: 3600 } }
  const routes = [{ ...open, upstream: upstream.address, timeout: 2 }]
  const server = await startGateway(t, routes, { tls })
  const client = clientOf(server, t)
  const sent = httpsRequest({ ...client, method: 'POST', path: '/up' })
  await sendSlowly(text => void sent.write(text), 5)
  sent.end()
  const [answer] = await once(sent, 'response')
  t.equal(answer.statusCode, 200)
  answer.resume()

  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':method': 'POST', ':path': '/up' })
  await sendSlowly(text => void stream.write(text), 4)
  stream.end()
  t.match(await once(stream, 'response'), [{ ':status': 200 }])
  t.equal(upstream.seen.length, 2)

  const stalled = await exchange(await server.connect('alice'), requestText('POST /up', ['Content-Length: 9'], 'x'), {
    until: 'closed',
  })
  t.match(stalled, { answers: [{ status: 504 }] }, 'no progress')
  const other = await exchange(
    await server.connect('alice'),
    requestText('POST /oauth/token', ['Content-Length: 9', form], 'x'),
    {
      until: 'closed',
    },
  )
  t.match(other, { answers: [{ status: 408 }] }, 'the endpoints of the server keep their deadline')
  const second = requestText('GET /a', []) + requestText('POST /oauth/token', ['Content-Length: 9', form], 'x')
  t.match(await exchange(await server.connect('alice'), second, { until: 'closed' }), {
    answers: [{ status: 200 }, { status: 408 }],
  })
})

t.test('an upload that the client breaks off does not look complete to the upstream', async t => {
  let ends = 0
  const broken: string[] = []
  const upstream = await startUpstream(t, request => {
    request.on('end', () => ends++)
    request.on('error', error => broken.push(error.message))
    request.resume()
  })
  const server: GatewayServer = await startGateway(t, [{ ...open, upstream: upstream.address }])
  for (const framing of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
    const alice = await server.connect('alice')
    alice.socket.write(requestText('POST /up', [framing], '4\r\nhalf\r\n'.slice(framing.startsWith('C') ? 3 : 0)))
    const before = broken.length
    await pause(200)
    alice.close()
    await until(() => broken.length > before)
  }
  t.equal(ends, 0)
})

t.test('a response before the end of the request is passed on, and the connection then ends', async t => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(413, { connection: 'close' }).end('no')
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
  const early = await exchange(await server.connect('alice'), requestText('POST /up', ['Content-Length: 9'], 'half'), {
    until: 'closed',
  })
  t.match(early, { answers: [{ status: 413, text: 'no' }] })
})

t.test('every octet of a response arrives, over both protocols and with either framing', async t => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet))
  const bodies: Record<string, Buffer> = {
    '/small': every,
    '/limit': Buffer.alloc(8192, every),
    '/larger': Buffer.alloc(8193, every),
    '/large': Buffer.alloc(1_000_003, every),
  }
  const upstream = await startUpstream(t, ({ url = '' }, response) => {
    const [, path = '', isChunked] = /^(\/\w+)(\?chunked)?$/.exec(url) ?? []
    const body = bodies[path] as Buffer
    if (isChunked) response.write(body)
    else response.setHeader('content-length', body.length)
    response.end(isChunked ? '' : body)
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
  const client = clientOf(server, t)
  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  for (const [path, body] of Object.entries(bodies))
    for (const query of ['', '?chunked']) {
      const sent = httpsRequest({ ...client, path: path + query }).end()
      const [response] = await once(sent, 'response')
      t.ok(Buffer.concat(await response.toArray()).equals(body), `${path}${query} over HTTP/1.1`)
      const stream = session.request({ ':path': path + query })
      t.ok(Buffer.concat(await stream.toArray()).equals(body), `${path}${query} over HTTP/2`)
    }
})

t.test('nothing is done for a request behind the rest of a body that was answered early', async t => {
  const upstream = await startUpstream(t, ({ url }, response) => {
    if (url === '/early') response.writeHead(403).end('no')
    else response.end('ok')
  })
  const server = await startGateway(t, [{ ...open, upstream: upstream.address }])
  const seen = () => upstream.seen.map(({ method, url }) => `${method} ${url}`)
  const events = server.events.length
  for (const follower of ['DELETE /x', 'POST /oauth/token', 'GET //x'])
    for (const isSplit of [false, true]) {
      const { socket } = await server.connect('alice')
      socket.on('error', () => {})
      socket.write(requestText('POST /early', ['Content-Length: 4'], 'bo'))
      t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 403 /)
      socket.write(isSplit ? 'd' : `dy${requestText(follower, [])}`)
      if (isSplit) socket.write(`y${requestText(follower, [])}`)
      const rest: Buffer[] = []
      socket.on('data', chunk => rest.push(chunk))
      await once(socket, 'close')
      t.notMatch(String(Buffer.concat(rest)), /HTTP/)
    }
  await pause(100)
  t.same(new Set(seen()), new Set(['POST /early']))
  t.same(
    server.events.slice(events).map(({ event }) => event),
    [],
    'no event either',
  )
  const control = requestText('POST /whole', ['Content-Length: 4'], 'body') + requestText('DELETE /x', [])
  const { answers } = await exchange(await server.connect('alice'), control, { until: 2 })
  t.match(answers, [{ status: 200 }, { status: 200 }])
  t.ok(seen().includes('DELETE /x'))
})
