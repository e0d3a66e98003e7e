// HTTP/2: streams in both directions, truncated responses, and servers that close a connection. GW04.
import { constants, type Http2Stream } from 'node:http2'
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { connect, createClient } from '../../../src/client/client.ts'
import { type FakeOptions, read, type Serve, startFakeUpstream } from '../../helpers/client/fake-upstream.ts'
import { until } from '../../helpers/until.ts'

async function start(t: Test, serve: Serve, options: FakeOptions & { connections?: number } = {}) {
  const { connections = 4, ...rest } = options
  const upstream = await startFakeUpstream(t, serve, { http2: true, ...rest })
  const client = createClient({ ...upstream.target, connections })
  t.teardown(() => client.close())
  return { upstream, client, dispatcher: client.dispatcher }
}

t.test('streams a request and its response at the same time', async t => {
  const { dispatcher } = await start(t, (request, response) => void request.pipe(response))
  const sent = new PassThrough()
  sent.write('one')
  const { body } = await dispatcher.request({ path: '/', method: 'POST', body: sent })
  const next: Record<string, string> = { one: 'two', two: 'three' }
  const received: string[] = []
  for await (const chunk of body) {
    received.push(String(chunk))
    if (next[String(chunk)] === undefined) sent.end()
    else sent.write(next[String(chunk)])
  }
  t.same(received, ['one', 'two', 'three'])
})

t.test('a paused reader pauses the server, and finally gets everything', async t => {
  const size = 8_000_000
  let sending: Http2Stream | undefined
  const { dispatcher } = await start(t, (_request, response) => {
    sending = response.stream
    response.end(Buffer.alloc(size))
  })
  const { body } = await dispatcher.request({ path: '/', method: 'GET', bodyTimeout: 300 })
  await until(
    () =>
      (sending?.state.localWindowSize ?? 1) >= 0 &&
      (sending as unknown as { writableLength: number }).writableLength > 0,
  )
  await new Promise(resolve => setTimeout(resolve, 400)) // longer than bodyTimeout: the reader is slow, not the server
  t.ok((sending as unknown as { writableLength: number }).writableLength > size / 4, 'most of it has not been sent')
  t.equal((await body.arrayBuffer()).byteLength, size)
})

t.test('an abort ends only its own stream', async t => {
  const streams: Http2Stream[] = []
  const { upstream, client, dispatcher } = await start(t, (request, response) => {
    streams.push(response.stream)
    if (request.url === '/half') response.write('half')
  })
  const other = dispatcher.request({ path: '/other', method: 'GET' })
  await until(() => streams.length === 1)
  const before = new AbortController()
  const early = dispatcher.request({ path: '/early', method: 'GET', signal: before.signal })
  await until(() => streams.length === 2)
  before.abort()
  await t.rejects(early, { name: 'AbortError' })
  const amid = new AbortController()
  const answer = await client.fetch('/half', { signal: amid.signal })
  amid.abort()
  await t.rejects(answer.text(), { name: 'AbortError' })
  await until(() => streams[1]?.closed === true && streams[2]?.closed === true)
  t.match([streams[1]?.rstCode, streams[2]?.rstCode], [constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL])
  const never = await client.fetch('/never', { signal: AbortSignal.abort() }).catch(error => error)
  t.match(never, { name: 'AbortError' })
  ;(streams[0] as unknown as { respond(): void; end(text: string): void }).respond()
  ;(streams[0] as unknown as { end(text: string): void }).end('there')
  t.equal(await (await other).body.text(), 'there')
  t.match([streams.length, upstream.handshakes, client.state().counts.repeated], [3, 1, 0])
})

t.test(
  'a request refused by GOAWAY is sent over another connection at once, while other responses continue',
  async t => {
    let finish = () => {}
    const { upstream, client } = await start(t, async (request, response, seen) => {
      if (request.url === '/long') {
        response.write('begun ')
        finish = () => response.end('ended')
        return
      }
      // Streams have odd numbers: 1 was the metadata, 3 the token, 5 the long response.
      if (seen.connection === 1) return request.stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 5)
      response.end(await read(request))
    })
    const long = await client.fetch('/long')
    const posted = await client.fetch('/post', { method: 'POST', body: 'once' })
    t.equal(await posted.text(), 'once')
    t.same(
      upstream.seen.map(({ path, connection }) => [path, connection]),
      [
        ['/long', 1],
        ['/post', 1],
        ['/post', 2],
      ],
    )
    finish()
    t.equal(await long.text(), 'begun ended')
    const stream = client.fetch('/stream', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' })
    t.equal(await (await stream).text(), 'x')
  },
)

t.test('loses no request when the server shuts connections down gracefully', async t => {
  const { upstream, client } = await start(t, async (request, response) => {
    if (upstream.seen.length === 20 || upstream.seen.length === 100) request.stream.session?.close()
    response.end(await read(request))
  })
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, index) =>
      (await client.fetch('/', { method: 'POST', body: `${index}` })).text(),
    ),
  )
  t.same(
    answers,
    Array.from({ length: 60 }, (_, index) => `${index}`),
  )
  t.ok(upstream.handshakes > 1)
  t.equal(client.state().lastProblem, null)
})

t.test('loses no request when an idle connection ends, whatever its method and body', async t => {
  const { upstream, client } = await start(t, async (request, response) => response.end(await read(request)))
  for (let round = 1; round <= 3; round++) {
    const body = new PassThrough()
    body.end('streamed')
    const answer = await client.dispatcher.request({ path: '/', method: 'POST', body })
    t.equal(await answer.body.text(), 'streamed')
    upstream.seen.at(-1)?.cut()
    await until(() => client.state().connections.length === 0)
    t.equal(upstream.handshakes, round)
  }
})

t.test('sends the request of a refused stream again, whatever its method', async t => {
  const { upstream, client } = await start(t, (request, response) => {
    if (upstream.seen.length === 1) request.stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else response.end('executed')
  })
  t.equal(await (await client.fetch('/', { method: 'POST', body: 'text' })).text(), 'executed')
  t.match([upstream.seen.length, upstream.handshakes], [2, 1])
})

t.test('never takes a truncated response for a complete one', async t => {
  const cuts: Record<string, (response: Parameters<Serve>[1]) => void> = {
    'stream destroyed': response => response.stream.destroy(),
    'session destroyed': response => response.stream.session?.destroy(),
    'connection reset': response =>
      (response.stream.session as unknown as { socket: { destroy(): void } }).socket.destroy(),
    'less than announced': response => response.end('and more'),
    'more than announced': response => response.end('x'.repeat(100)),
    'reset with an error': response => response.stream.destroy(new Error('broken')),
  }
  const { client, dispatcher } = await start(t, (request, response) => {
    const cut = decodeURIComponent(request.url.slice(1))
    if (cut.endsWith('announced')) response.setHeader('content-length', '100')
    response.write('half', () => setImmediate(() => cuts[cut]?.(response)))
  })
  for (const cut of Object.keys(cuts)) {
    const answer = await dispatcher.request({ path: `/${encodeURIComponent(cut)}`, method: 'GET' })
    await t.rejects(answer.body.text(), { name: 'ClientError', code: 'connection_lost' }, cut)
    await t.rejects(
      client.fetch(`/${encodeURIComponent(cut)}`).then(whole => whole.text()),
      cut,
    )
  }
})

t.test('returns complete responses of every form', async t => {
  const forms: Record<string, Serve> = {
    trailers: (_request, response) => {
      response.addTrailers({ 'x-sum': '7' })
      response.end('text')
    },
    empty: (_request, response) => response.end(),
    written: (_request, response) => {
      for (const part of ['te', 'x', 't']) response.write(part)
      response.end()
    },
    early: (_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' })
      response.end('text')
    },
    slow: (_request, response) => void response.write('te', () => setImmediate(() => response.end('xt'))),
    large: (_request, response) => response.end('text'.padStart(1_000_000)),
    'before the request has ended': (_request, response) => response.end('text'),
  }
  const { dispatcher, upstream } = await start(t, (request, response, seen) =>
    forms[decodeURIComponent(request.url.slice(1))]?.(request, response, seen),
  )
  for (const form of Object.keys(forms)) {
    const interim: number[] = []
    const { body, trailers } = await dispatcher.request({
      path: `/${encodeURIComponent(form)}`,
      method: form.startsWith('before') ? 'POST' : 'GET',
      body: form.startsWith('before') ? 'x'.repeat(1_000_000) : null,
      onInfo: ({ statusCode }) => interim.push(statusCode),
    })
    if (form === 'slow') await new Promise(setImmediate) // delays the reader
    t.equal((await body.text()).trim(), form === 'empty' ? '' : 'text', form)
    t.match([trailers, interim], [form === 'trailers' ? { 'x-sum': '7' } : {}, form === 'early' ? [103] : []], form)
  }
  t.equal(upstream.handshakes, 1)
})

t.test('times out on a silent server, and no longer uses its connection', async t => {
  const { upstream, dispatcher } = await start(t, (request, response) => {
    if (request.url === '/half') response.write('half')
    if (request.url === '/well') response.end('well')
  })
  const silent = dispatcher.request({ path: '/silent', method: 'GET', headersTimeout: 50 })
  await t.rejects(silent, { code: 'timed_out', cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } })
  const { body } = await dispatcher.request({ path: '/half', method: 'GET', bodyTimeout: 50 })
  await t.rejects(body.text(), { code: 'timed_out', cause: { code: 'UND_ERR_BODY_TIMEOUT' } })
  t.equal((await dispatcher.request({ path: '/well', method: 'GET' })).statusCode, 200)
  t.same(
    upstream.seen.map(({ path, connection }) => [path, connection]),
    [
      ['/silent', 1],
      ['/half', 2],
      ['/well', 3],
    ],
  )
})

t.test('rejects an invalid request before it is sent, and keeps the connection', async t => {
  const upstream = await startFakeUpstream(t, async (request, response) => response.end(await read(request)), {
    http2: true,
  })
  const channel = await connect(upstream.origin, upstream.identity)
  t.teardown(() => channel.close())
  const ask = (options: object) => channel.dispatcher.request({ path: '/', method: 'GET', ...options } as never)
  const invalid = { code: 'UND_ERR_INVALID_ARG' }
  await t.rejects(ask({ path: '/a b' }), invalid)
  await t.rejects(ask({ path: '/a\r\nb' }), invalid)
  await t.rejects(ask({ path: 'nowhere' }), invalid)
  await t.rejects(ask({ method: 'GET /' }), invalid)
  await t.rejects(ask({ headers: { 'x-a': 'a\nb' } }), invalid)
  await t.rejects(ask({ headers: { 'x a': 'a' } }), invalid)
  await t.rejects(ask({ headers: { ':path': '/other' } }), invalid)
  for (const name of ['transfer-encoding', 'upgrade', 'keep-alive', 'expect'])
    await t.rejects(ask({ headers: { [name]: 'x' } }), invalid, name)
  await t.rejects(ask({ method: 'POST', body: 'text', headers: { 'content-length': '3' } }), {
    code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  })
  t.same(upstream.seen, [])
  const { body } = (await ask({
    method: 'POST',
    body: 'text',
    headers: { connection: 'close', 'x-list': ['a', 'b'], te: 'trailers' },
  })) as {
    body: { text(): Promise<string> }
  }
  t.equal(await body.text(), 'text')
  t.match(
    [upstream.seen[0]?.headers, upstream.handshakes],
    [{ 'x-list': 'a, b', te: 'trailers', 'content-length': '4' }, 1],
  )
  const source = new PassThrough()
  const failing = ask({ method: 'POST', body: source })
  source.destroy(new Error('the source broke'))
  await t.rejects(failing, { message: 'the source broke' })
  t.ok(channel.open)
})
