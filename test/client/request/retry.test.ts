// Retries: the client repeats no request that may have been processed, limits its attempts, and reports every failure. GW10.
import { Readable } from 'node:stream'
import t from 'tap'
import type { Dispatcher } from 'undici'
import { readRetryAfter } from '../../../src/client/backoff.ts'
import { type Client, createClient } from '../../../src/client/client.ts'
import { type FakeUpstream, json, read, type Serve, startFakeUpstream } from '../../helpers/client/fake-upstream.ts'

const refuse = (error: string): Serve => {
  const challenge = { 'www-authenticate': `Bearer error="${error}", error_description="error=none"` }
  return (_request, response) => json(response, 401, { error }, challenge)
}
const hangUp: Serve = (_request, _response, seen) => seen.cut()
const executed: Serve = (_request, response) => response.end('executed')

/** Serves the first requests as given and the others normally, each after its body. */
const first = (...serves: Serve[]): { upstream?: FakeUpstream; serve: Serve } => {
  let count = 0
  return {
    async serve(request, response, seen) {
      const serve = serves[count++] ?? executed
      if (serve !== hangUp) seen.body = await read(request)
      serve(request, response, seen)
    },
  }
}

const methods = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH'] as const
const isIdempotent = (method: string) => method !== 'POST' && method !== 'PATCH'
const bodyOf = (method: string) =>
  method === 'PUT' || method === 'POST' || method === 'PATCH' ? { body: 'a body' } : {}

for (const http2 of [true, false]) {
  const protocol = http2 ? 'h2' : 'http/1.1'

  /** Returns the result of a request when the first requests are served as given. */
  async function send(
    t: { teardown(end: () => unknown): void },
    serves: Serve[],
    options: Partial<Dispatcher.RequestOptions> & { method: Dispatcher.HttpMethod },
  ): Promise<{ upstream: FakeUpstream; client: Client; status?: number; text?: string; error?: Error }> {
    const upstream = await startFakeUpstream(t, first(...serves).serve, { http2 })
    const client = createClient({ ...upstream.target, http2, connections: 1 })
    t.teardown(() => client.close())
    try {
      const { statusCode: status, body } = await client.dispatcher.request({ path: '/', ...options })
      return { upstream, client, status, text: await body.text() }
    } catch (error) {
      return { upstream, client, error: error as Error }
    }
  }

  t.test(`over ${protocol} sends a request again with a new token after its token was refused`, async t => {
    for (const method of methods) {
      const { upstream, status, client } = await send(t, [refuse('invalid_token')], { method, ...bodyOf(method) })
      t.equal(status, 200, method)
      const [before, after] = upstream.seen
      t.match([before?.body, after?.body], ['body' in bodyOf(method) ? 'a body' : ''], 'the retry contains the body')
      t.not(before?.token, after?.token)
      t.match([upstream.seen.length, upstream.tokenRequests, upstream.handshakes], [2, 2, 1])
      t.equal(client.state().counts.repeated, 1)
    }
    const fetched = await startFakeUpstream(t, first(refuse('invalid_token')).serve, { http2 })
    const client = createClient({ ...fetched.target, http2 })
    t.teardown(() => client.close())
    const form = new URLSearchParams({ a: 'b' })
    t.equal((await client.fetch('/', { method: 'POST', body: form })).status, 200, 'fetch passes bodies as streams')
    t.match(fetched.seen, [{ body: 'a=b' }, { body: 'a=b' }])
  })

  t.test(`over ${protocol} sends a request again with a new proof after its proof was refused`, async t => {
    for (const error of ['use_session_binding', 'invalid_proof']) {
      const { upstream, status } = await send(t, [refuse(error)], { method: 'POST', body: 'a body' })
      const [before, after] = upstream.seen
      t.match([status, upstream.seen.length, upstream.tokenRequests], [200, 2, 1])
      t.equal(before?.headers['session-binding-proof'], undefined)
      t.match(after?.headers['session-binding-proof'], /^ey/)
    }
    const both = await send(t, [refuse('invalid_proof'), refuse('invalid_token')], { method: 'GET' })
    t.match([both.status, both.upstream.seen.length], [200, 3], 'one retry for each refusal')
  })

  t.test(`over ${protocol} passes on a repeated refusal, and one that no token would change`, async t => {
    const forever = Array.from({ length: 9 }, () => refuse('invalid_token'))
    const lasting = await send(t, forever, { method: 'GET' })
    t.match([lasting.status, lasting.upstream.seen.length, lasting.upstream.tokenRequests], [401, 2, 2])
    t.match(JSON.parse(lasting.text ?? ''), { error: 'invalid_token' }, 'the complete last response')
    t.equal((await lasting.client.fetch('/')).status, 401)
    t.ok(lasting.upstream.tokenRequests <= 4, 'the next request needs no more attempts')

    const long: Serve = (_request, response) => {
      json(response, 401, { padding: 'x'.repeat(200_000) }, { 'www-authenticate': 'Bearer error="invalid_token"' })
    }
    const swallowed = await send(t, [long], { method: 'POST', body: 'a body' })
    t.match([swallowed.status, swallowed.upstream.seen.length], [200, 2], 'a long error response changes nothing')

    const others: Serve[] = [
      refuse('insufficient_user_authentication'),
      (_request, response) => json(response, 401, {}),
      (_request, response) => json(response, 401, {}, { 'www-authenticate': 'Basic realm="error"' }),
      (_request, response) => json(response, 403, {}, { 'www-authenticate': 'Bearer error="invalid_token"' }),
      (_request, response) => json(response, 500, {}),
      (_request, response) => json(response, 502, {}),
    ]
    for (const other of others) {
      const { upstream, status } = await send(t, [other], { method: 'GET' })
      t.match([(status ?? 0) >= 401, upstream.seen.length], [true, 1])
    }
    const begun = await send(t, [refuse('invalid_token')], { method: 'POST', body: Readable.from(['a ', 'body']) })
    t.match([begun.status, begun.upstream.seen.length], [401, 1], 'a stream cannot be sent twice')
    t.equal((await begun.client.fetch('/')).status, 200, 'the next request has another token')
    t.equal(begun.upstream.tokenRequests, 2)
  })

  t.test(`over ${protocol} after a broken connection sends only idempotent requests again`, async t => {
    for (const method of methods) {
      const { upstream, status, error, client } = await send(t, [hangUp], { method, ...bodyOf(method) })
      if (isIdempotent(method)) t.match([status, upstream.seen.length], [200, 2], method)
      else {
        t.match(error, { name: 'ClientError', code: 'connection_lost', cause: Error }, method)
        t.equal(upstream.seen.length, 1, 'no unsafe request is sent twice')
      }
      t.equal((await client.fetch('/')).status, 200, 'the next request uses another connection with its own token')
      t.match([upstream.handshakes, upstream.tokenRequests], [2, 2])
      t.not(upstream.seen[0]?.token, upstream.seen.at(-1)?.token)
    }
    const begun = await send(t, [hangUp], { method: 'PUT', body: Readable.from(['a ', 'body']) })
    t.match(
      [begun.error, begun.upstream.seen.length],
      [{ code: 'connection_lost' }, 1],
      'a stream cannot be sent twice',
    )
    const forever = await send(
      t,
      Array.from({ length: 9 }, () => hangUp),
      { method: 'GET' },
    )
    t.match(
      [forever.error, forever.upstream.seen.length],
      [{ code: 'connection_lost' }, 3],
      'a request is sent at most three times',
    )
  })

  t.test(`over ${protocol} never repeats a request whose response has begun`, async t => {
    const half: Serve = (_request, response, seen) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('half', () => setImmediate(() => seen.cut()))
    }
    const endless: Serve = (_request, response, seen) => {
      response.write('half', () => setImmediate(() => seen.cut()))
    }
    for (const serve of [half, endless]) {
      const { upstream, error, status } = await send(t, [serve], { method: 'GET' })
      t.match([error, status, upstream.seen.length], [{ name: 'ClientError', code: 'connection_lost' }, undefined, 1])
    }
  })

  t.test(`over ${protocol} retries a busy server after its Retry-After`, async t => {
    const busy = (status: number, headers?: Record<string, string>): Serve => {
      return (_request, response) => json(response, status, { error: 'busy' }, headers)
    }
    const table = [429, 503].flatMap(status => methods.map(method => ({ status, method })))
    const answers = await Promise.all(
      table.map(({ status, method }) => send(t, [busy(status)], { method, ...bodyOf(method) })),
    )
    for (const [index, { status, method }] of table.entries()) {
      const expected = isIdempotent(method) ? [200, 2] : [status, 1]
      t.match([answers[index]?.status, answers[index]?.upstream.seen.length], expected, `${status} ${method}`)
    }
    const started = performance.now()
    const [forever, soon, late] = await Promise.all([
      send(
        t,
        Array.from({ length: 9 }, () => busy(503)),
        { method: 'GET' },
      ),
      send(t, [busy(503, { 'retry-after': '1' })], { method: 'GET' }),
      send(t, [busy(503, { 'retry-after': '11' })], { method: 'GET' }),
    ])
    t.match([forever.status, forever.upstream.seen.length], [503, 3], 'a request is sent at most three times')
    t.match([soon.status, performance.now() - started >= 1000], [200, true], 'Retry-After is honoured')
    t.match([late.status, late.upstream.seen.length], [503, 1], 'a long Retry-After is passed on to the caller')
  })

  t.test(`over ${protocol} supports a server that closes after each response, with one connection each`, async t => {
    const close: Serve = (_request, response, seen) => {
      response.on('finish', () => setImmediate(() => seen.cut()))
      response.end('answer')
    }
    const upstream = await startFakeUpstream(t, close, { http2 })
    const client = createClient({ ...upstream.target, http2, connections: 2 })
    t.teardown(() => client.close())
    for (let count = 0; count < 4; count++) t.equal(await (await client.fetch('/')).text(), 'answer')
    t.equal(upstream.handshakes, upstream.tokenRequests)
    for (const seen of upstream.seen) t.ok(seen.token)
    t.equal(new Set(upstream.seen.map(({ token, connection }) => `${token} ${connection}`)).size, upstream.handshakes)
  })
}

t.test('parses Retry-After as seconds, or as a date by the server’s own clock', async t => {
  const date = 'Tue, 24 Nov 2026 10:00:00 GMT'
  const table: [unknown, unknown, number | undefined][] = [
    ['0', undefined, 0],
    ['7', date, 7000],
    ['Tue, 24 Nov 2026 10:00:05 GMT', date, 5000],
    ['Tue, 24 Nov 2026 09:00:05 GMT', date, 0],
    ['-1', date, undefined],
    ['1.5', undefined, undefined],
    ['soon', date, undefined],
    ['9'.repeat(30), date, undefined],
    [['1', '2'], date, undefined],
    [undefined, date, undefined],
  ]
  for (const [value, now, wait] of table) t.equal(readRetryAfter(value, now), wait, String(value))
})
