// Bodies through the sidecar: forwarded at once, no faster than they are read, and ended on both sides together.
// RFC 9110 §15.6; GW04.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
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
