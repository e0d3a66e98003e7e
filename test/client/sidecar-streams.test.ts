// Bodies on their way through the sidecar: at once, no faster than they are read, and never a cut one that looks whole.
// RFC 9112 §6.3, §8; RFC 9110 §15.6; GW04, GW14.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { exchange, requestText } from '../helpers/raw-http.ts'
import { ask, connectTo, open, startTestSidecar, startUpstream } from '../helpers/sidecar.ts'

const megabyte = Buffer.alloc(1_048_576, 'x')
const longest = 48

t.test('what a program sends reaches the upstream while it still sends', async t => {
  for (const headers of [{ 'transfer-encoding': 'chunked' }, { 'content-length': '30000' }] as const) {
    const upstream = await startUpstream(t, (request, response) => {
      request.once('data', () => response.writeHead(200).write('seen'))
      request.resume().once('end', () => response.end(' all'))
    })
    const { address } = await startTestSidecar(t, upstream)
    const body = new PassThrough()
    body.write('a'.repeat(10_000))
    const answer = await open(address, '/', { method: 'POST', headers, body })
    t.equal(String((await once(answer, 'data'))[0]), 'seen', 'the answer begins before the body has ended')
    body.end('b'.repeat(20_000))
    t.equal(String((await once(answer, 'data'))[0]), ' all')
  }
})

t.test(
  'events reach the program one by one, their head before the first, and its leaving reaches the upstream',
  async t => {
    let stream: ServerResponse | undefined
    const upstream = await startUpstream(t, (_request, response) => {
      stream = response
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    })
    const { address } = await startTestSidecar(t, upstream)
    const answer = await open(address, '/events')
    t.match(answer.headers, { 'content-type': 'text/event-stream' }, 'there is no event yet')
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      stream?.write(event)
      t.equal(String((await once(answer, 'data'))[0]), event)
    }
    const gone = once(upstream.events, 'gone')
    answer.destroy()
    await gone
    t.match(await ask(address, '/_status'), { body: { requests_under_way: 0 } })
  },
)

t.test('a slow program makes a fast upstream slow (GW04)', async t => {
  let sent = 0
  const upstream = await startUpstream(t, async (_request, response) => {
    for (let count = 0; count < longest; count++) {
      sent += megabyte.length
      if (!response.write(megabyte)) await once(response, 'drain')
    }
    response.end()
  })
  const { address } = await startTestSidecar(t, upstream)
  let received = 0
  let furthest = 0
  for await (const chunk of await open(address, '/')) {
    received += chunk.length
    furthest = Math.max(furthest, sent - received)
    await turn()
  }
  t.equal(received, longest * megabyte.length)
  t.ok(furthest < 8 * megabyte.length, `${furthest} octets were under way`)
})

t.test('a slow upstream makes a fast program slow (GW04)', async t => {
  let received = 0
  let furthest = 0
  let sent = 0
  const upstream = await startUpstream(t, async (request, response) => {
    for await (const chunk of request) {
      received += chunk.length
      furthest = Math.max(furthest, sent - received)
      await turn()
    }
    response.end(String(received))
  })
  const { address } = await startTestSidecar(t, upstream)
  const body = Readable.from(
    (function* () {
      for (let count = 0; count < longest; count++) {
        sent += megabyte.length
        yield megabyte
      }
    })(),
  )
  t.match(await ask(address, '/', { method: 'PUT', body }), { status: 200, text: String(longest * megabyte.length) })
  t.ok(furthest < 24 * megabyte.length, `${furthest} octets were under way`)
})

/** Bytes of an upstream in place of an answer, after which its connection ends. */
const cut: Readonly<Record<string, string>> = {
  'a length that is not reached': 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
  'chunks without the last': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'a chunk that is none': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0x4\r\n',
  'a chunk that is cut': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha',
}
const bad: Readonly<Record<string, string>> = {
  nothing: '',
  'half a head': 'HTTP/1.1 200 OK\r\nContent-Le',
  'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'another version': 'HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  'a body that ends with the connection': 'HTTP/1.1 200 OK\r\n\r\nwho knows',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi',
  'a length and chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  'a header that Node would not write (GW14)': 'HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nhi',
  'a line feed in a header (GW14)': 'HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\rX-C: c\r\nContent-Length: 2\r\n\r\nhi',
  'headers without end': `HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)}\r\n`,
  'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
}

t.test('half an answer reaches the program as half an answer, never as a whole one (GW04)', async t => {
  for (const [name, bytes] of Object.entries(cut)) {
    const upstream = await startUpstream(t, request => void request.socket.end(bytes, 'latin1'))
    const { address } = await startTestSidecar(t, upstream)
    await t.rejects(ask(address, '/'), { code: /ECONNRESET|HPE_/ }, name)
  }
})

t.test('what is no answer becomes a 502, and the next request has its answer (GW04, GW14)', async t => {
  const upstream = await startUpstream(t, ({ url, socket }, response) => {
    const bytes = Object.values(bad)[Number(url?.slice(1))]
    if (bytes === undefined) response.end('well')
    else socket.end(bytes, 'latin1')
  })
  const { address } = await startTestSidecar(t, upstream)
  for (const [index, name] of Object.keys(bad).entries()) {
    const failure = { error: 'upstream_failed', error_description: String }
    t.match(await ask(address, `/${index}`), { status: 502, body: failure }, name)
    t.match(await ask(address, '/well'), { status: 200, text: 'well' }, `after ${name}`)
  }
})

t.test('an upstream that says nothing gets no more than its time (GW04)', async t => {
  const upstream = await startUpstream(t, ({ url }, response) => url === '/well' && response.end())
  const { address } = await startTestSidecar(t, upstream, { timeout: 0.2 })
  const gone = once(upstream.events, 'gone')
  t.match(await ask(address, '/'), { status: 504, body: { error: 'upstream_timeout' } })
  await gone
  t.match(await ask(address, '/well'), { status: 200 }, 'control')
})

t.test('a body that comes slowly, but comes, may take longer than that', async t => {
  const upstream = await startUpstream(t, (request, response) => {
    request.resume().once('end', () => response.end('all'))
  })
  const { address } = await startTestSidecar(t, upstream, { timeout: 0.2 })
  const drops = Readable.from(
    (async function* () {
      for (let count = 0; count < 10; count++) yield await pause(60, 'drop')
    })(),
  )
  t.match(await ask(address, '/', { method: 'POST', body: drops }), { status: 200, text: 'all' })
})

t.test('a program that goes away ends its request at the upstream, before the answer and in its own body', async t => {
  const upstream = await startUpstream(t, request => void request.resume())
  const { address } = await startTestSidecar(t, upstream)
  for (const bytes of [
    requestText('GET /', []),
    requestText('POST /', ['Content-Length: 2'], '{}'),
    requestText('POST /', ['Content-Length: 50000'], 'part'),
    requestText('POST /', ['Transfer-Encoding: chunked'], '4\r\npart\r\n'),
  ]) {
    const socket = await connectTo(t, address)
    const [arrived, gone] = [once(upstream.events, 'request'), once(upstream.events, 'gone')]
    socket.write(bytes)
    const [request] = (await arrived) as [IncomingMessage]
    socket.destroy()
    await gone
    t.equal(request.complete, !bytes.includes('part'))
  }
  const before = upstream.seen.length
  const socket = await connectTo(t, address)
  socket.end(requestText('POST /', ['Content-Length: 9'], 'part'))
  await once(socket.resume(), 'close')
  t.match(await ask(address, '/_status'), { body: { requests_under_way: 0 } })
  t.equal(upstream.seen.length, before, 'a short body that is not all there is not sent at all')
})

t.test('an answer that comes before the body has ended reaches the program, whose connection then ends', async t => {
  const upstream = await startUpstream(t, (_request, response) => response.writeHead(413).end('too much'))
  const { address } = await startTestSidecar(t, upstream)
  const socket = await connectTo(t, address)
  const bytes = requestText('POST /', ['Content-Length: 50000'], 'a'.repeat(20_000))
  const { answers, closed } = await exchange({ socket } as never, bytes, { until: 'closed' })
  t.match({ answers, closed }, { answers: [{ status: 413, headers: { connection: 'close' } }], closed: true })
})
