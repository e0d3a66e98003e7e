// Bodies through the sidecar: forwarded at once, no faster than they are read, and ended on both sides together.
// RFC 9110 §15.6; GW04.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { ask, connectTo, open, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'

const megabyte = Buffer.alloc(1_048_576, 'x')
const longest = 48

t.test('forwards a body to the upstream while the program sends it', async t => {
  for (const headers of [{ 'transfer-encoding': 'chunked' }, { 'content-length': '30000' }] as const) {
    const upstream = await startUpstream(t, (request, response) => {
      request.once('data', () => response.writeHead(200).write('seen'))
      request.resume().once('end', () => response.end(' all'))
    })
    const { address } = await startTestSidecar(t, upstream)
    const body = new PassThrough()
    body.write('a'.repeat(10_000))
    const answer = await open(address, '/', { method: 'POST', headers, body })
    t.equal(String((await once(answer, 'data'))[0]), 'seen', 'the response begins before the end of the body')
    body.end('b'.repeat(20_000))
    t.equal(String((await once(answer, 'data'))[0]), ' all')
  }
})

t.test('forwards events one by one, the head before the first, and the disconnect of the program', async t => {
  let stream: ServerResponse | undefined
  const upstream = await startUpstream(t, (_request, response) => {
    stream = response
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const { address } = await startTestSidecar(t, upstream)
  const answer = await open(address, '/events')
  t.match(answer.headers, { 'content-type': 'text/event-stream' }, 'the head arrives before the first event')
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    stream?.write(event)
    t.equal(String((await once(answer, 'data'))[0]), event)
  }
  const gone = once(upstream.events, 'gone')
  answer.destroy()
  await gone
  t.match(await ask(address, '/_status'), { body: { requests_under_way: 0 } })
})

t.test('a slow program slows a fast upstream down (GW04)', async t => {
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
  t.ok(furthest < 16 * megabyte.length, `${furthest} octets were under way`)
})

t.test('a slow upstream slows a fast program down (GW04)', async t => {
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

t.test(
  'a program that disconnects ends its request at the upstream, before the response and within its body',
  async t => {
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
    t.equal(upstream.seen.length, before, 'an incomplete short body is not sent')
  },
)

t.test('forwards a response that arrives before the end of the body, and then closes the connection', async t => {
  const upstream = await startUpstream(t, (_request, response) => response.writeHead(413).end('too much'))
  const { address } = await startTestSidecar(t, upstream)
  const socket = await connectTo(t, address)
  const bytes = requestText('POST /', ['Content-Length: 50000'], 'a'.repeat(20_000))
  const { answers, closed } = await exchange({ socket } as never, bytes, { until: 'closed' })
  t.match({ answers, closed }, { answers: [{ status: 413, headers: { connection: 'close' } }], closed: true })
})

/** Sends all octets before it reads, as many programs do. Resolves with what it can read then; `reset`: why that is not all. */
async function sendThenRead(t: Test, address: string, head: string, octets: number) {
  const socket = await connectTo(t, address)
  let reset: string | undefined
  socket.on('error', (error: NodeJS.ErrnoException) => {
    reset ??= error.code
  })
  socket.pause().write(head)
  const piece = Buffer.alloc(65_536, 'x')
  for (let sent = 0; sent < octets && !socket.destroyed; sent += piece.length)
    if (!socket.write(piece))
      await new Promise<void>(go => {
        socket.once('drain', go)
        socket.once('close', () => go())
      })
  await pause(50)
  const parts: Buffer[] = []
  socket.on('data', part => parts.push(part)).resume()
  if (!socket.destroyed) await once(socket, 'close')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(String(Buffer.concat(parts)))?.[1]), reset }
}

t.test('a program that is still sending its request gets each early response', async t => {
  const upstream = await startUpstream(
    t,
    ({ url }, response) => void response.writeHead(url === '/late' ? 200 : 403).end('no'),
  )
  const broken = { dispatcher: new Pool('https://127.0.0.1:1'), state: () => ({}), close: async () => {} }
  const open = await startTestSidecar(t, upstream)
  const same = { client: { ...upstream.client, close: async () => {} } }
  const strict = await startTestSidecar(t, same, { authorization: 'refuse' })
  const onPort = await startTestSidecar(t, same, { listen: { port: 0 } })
  const down = await startTestSidecar(t, { client: broken })
  t.teardown(() => broken.dispatcher.destroy())
  const octets = 4_194_304
  const length = `Content-Length: ${octets}`
  const chunked = 'Transfer-Encoding: chunked'
  for (const [name, { address }, line, fields, status] of [
    ['HTTP/1.0', open, 'POST / HTTP/1.0', ['Host: x', length], 505],
    ['two hosts', open, 'POST / HTTP/1.1', ['Host: x', 'Host: y', length], 400],
    ['a malformed target', open, 'POST //x HTTP/1.1', ['Host: x', length], 400],
    ['TRACE', open, 'TRACE / HTTP/1.1', ['Host: x', length], 501],
    ['another coding', open, 'POST / HTTP/1.1', ['Host: x', 'Transfer-Encoding: gzip, chunked'], 501],
    ['the status', open, 'POST /_status HTTP/1.1', ['Host: x', length], 405],
    ['an expectation', open, 'POST / HTTP/1.1', ['Host: x', 'Expect: more', length], 417],
    ['a token', strict, 'POST / HTTP/1.1', ['Host: x', 'Authorization: Bearer x', length], 400],
    [
      'a web page',
      onPort,
      'POST / HTTP/1.1',
      [`Host: ${new URL(onPort.address).host}`, 'Origin: https://x', length],
      403,
    ],
    ['another host', onPort, 'POST / HTTP/1.1', ['Host: evil.example', length], 421],
    ['CONNECT', open, 'CONNECT x:1 HTTP/1.1', ['Host: x'], 501],
    ['a malformed request', open, 'POST', [], 400],
    ['a long head', open, 'POST / HTTP/1.1', [`X: ${'x'.repeat(20_000)}`], 431],
    ['an upstream that does not listen', down, 'POST / HTTP/1.1', ['Host: x', length], 502],
    ['an upstream that refuses', open, 'POST / HTTP/1.1', ['Host: x', length], 403],
  ] as const) {
    const head = [line, ...fields, '', ''].join('\r\n')
    t.same(await sendThenRead(t, address, head, octets), { status, reset: undefined }, name)
  }
  const before = upstream.seen.length
  const socket = await connectTo(t, open.address)
  const refused = requestText('POST //x', ['Content-Length: 4'], 'bo')
  socket.write(refused)
  await once(socket, 'data')
  socket.write(`dy${requestText('GET /smuggled', [])}`)
  await once(socket, 'close')
  t.equal(upstream.seen.length, before, 'what follows the body is not answered')
  t.same(
    await sendThenRead(t, open.address, `POST //x HTTP/1.1\r\nHost: x\r\n${chunked}\r\n\r\n1\r\nx\r\n`, 0),
    { status: 400, reset: undefined },
    'a body that never ends',
  )
  const much = await sendThenRead(
    t,
    open.address,
    `POST //x HTTP/1.1\r\nHost: x\r\nContent-Length: ${octets * 64}\r\n\r\n`,
    octets * 64,
  )
  t.match(much, { reset: /ECONNRESET|EPIPE/ }, 'a body that is longer than what is read')
})
