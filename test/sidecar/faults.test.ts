// Upstreams and programs that truncate, stall and send garbage: a truncated response never looks complete, and every wait
// times out. RFC 9112 §6.3, §8; GW04, GW14, HT21.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { Dispatcher } from 'undici'
import { ask, connectTo, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'

/** Octets that an upstream sends instead of a response before it closes the connection. */
const cut: Readonly<Record<string, string>> = {
  'fewer octets than the length': 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
  'chunks without the last one': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'an invalid chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0x4\r\n',
  'a truncated chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha',
}
const bad: Readonly<Record<string, string>> = {
  nothing: '',
  'half a head': 'HTTP/1.1 200 OK\r\nContent-Le',
  'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'another version': 'HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi',
  'a length and chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  'a header that Node does not write (GW14)': 'HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nhi',
  'a line feed in a header (GW14)': 'HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\rX-C: c\r\nContent-Length: 2\r\n\r\nhi',
  'headers without end': `HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)}\r\n`,
  'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
}

t.test('a truncated response reaches the program as a truncated one (GW04)', async t => {
  for (const [name, bytes] of Object.entries(cut)) {
    const upstream = await startUpstream(t, request => void request.socket.end(bytes, 'latin1'))
    const { address } = await startTestSidecar(t, upstream)
    await t.rejects(ask(address, '/'), { code: /ECONNRESET|HPE_/ }, name)
  }
})

t.test('a response shorter or longer than its length ends the connection, over each protocol', async t => {
  for (const length of [3, 4, 5]) {
    class Careless extends Dispatcher {
      override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        const controller = { abort() {}, pause() {}, resume() {} } as unknown as Dispatcher.DispatchController
        handler.onResponseStart?.(controller, 200, { 'content-length': String(length) })
        handler.onResponseData?.(controller, Buffer.from('four'))
        handler.onResponseEnd?.(controller, {})
        return true
      }
    }
    const client = { dispatcher: new Careless(), state: () => ({}), close: async () => {} }
    const { address } = await startTestSidecar(t, { client })
    const socket = await connectTo(t, address)
    const isRight = length === 4
    const until = isRight ? 2 : 'closed'
    const { received } = await exchange({ socket } as never, requestText('GET /', []).repeat(2), { until })
    const answers = received.match(/HTTP\/1\.1 200/g)?.length ?? 0
    t.ok(isRight ? answers === 2 : answers < 2, `${length} octets`)
  }
})

t.test('octets that are not a request end the connection, without a response inside another response', async t => {
  const upstream = await startUpstream(t, (_request, response) => void response.write('half'))
  const { address } = await startTestSidecar(t, upstream)
  const socket = await connectTo(t, address)
  let received = ''
  const half = new Promise<void>(done =>
    socket.on('data', chunk => {
      received += chunk
      if (received.includes('half')) done()
    }),
  )
  socket.write(requestText('GET /', []))
  await half
  socket.write('no request\r\n\r\n')
  await once(socket, 'close')
  t.match(received, /^HTTP\/1\.1 200 .*half\r\n$/s)
})

t.test('an invalid response becomes a 502, and the next request succeeds (GW04, GW14)', async t => {
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

t.test('times out on a silent upstream (GW04)', async t => {
  const upstream = await startUpstream(t, ({ url }, response) => url === '/well' && response.end())
  const { address } = await startTestSidecar(t, upstream, { timeout: 0.2 })
  const gone = once(upstream.events, 'gone')
  t.match(await ask(address, '/'), { status: 504, body: { error: 'upstream_timeout' } })
  await gone
  t.match(await ask(address, '/well'), { status: 200 }, 'control')
})

t.test('times out on a program that stops within its body (HT21)', async t => {
  const upstream = await startUpstream(t, (_request, response) => response.end())
  const { address } = await startTestSidecar(t, upstream, { timeout: 0.2 })
  const short = await connectTo(t, address)
  const { answers, closed } = await exchange(
    { socket: short } as never,
    requestText('POST /', ['Content-Length: 9'], 'part'),
    { until: 'closed' },
  )
  t.match({ answers, closed }, { answers: [{ status: 408, body: { error: 'invalid_request' } }], closed: true })
  t.same(upstream.seen, [])

  const silent = await startUpstream(t, request => void request.resume())
  const other = await startTestSidecar(t, silent, { timeout: 0.2 })
  const long = await connectTo(t, other.address)
  const arrived = once(silent.events, 'request')
  long.write(requestText('POST /', ['Content-Length: 50000'], 'part'))
  await arrived
  const stopped = await exchange({ socket: long } as never, 'and no more', { until: 'closed' })
  t.match(stopped, { answers: [{ status: 504, body: { error: 'upstream_timeout' } }], closed: true })
})

t.test('a slow but steady body may take longer than the timeout', async t => {
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
