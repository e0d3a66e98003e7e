// Many requests over few connections; each token is used only on its own connection. GW07.
import t, { type Test } from 'tap'
import { createClient } from '../../../src/client/client.ts'
import {
  type FakeOptions,
  type FakeUpstream,
  type Serve,
  startFakeUpstream,
} from '../../helpers/client/fake-upstream.ts'
import { startServerBehindRelay } from '../../helpers/client/relay.ts'
import { until } from '../../helpers/until.ts'

async function start(t: Test, serve: Serve, options: FakeOptions & { connections?: number } = {}) {
  const { connections = 4, ...rest } = options
  const upstream = await startFakeUpstream(t, serve, rest)
  const client = createClient({ ...upstream.target, connections })
  t.teardown(() => client.close())
  return { upstream, client }
}

/** Delays every response until it is released. */
function hold(): { serve: Serve; held: Map<string, () => void>; go(path: string): void } {
  const held = new Map<string, () => void>()
  return {
    held,
    serve: (request, response) => void held.set(request.url, () => response.end(request.url)),
    go(path) {
      held.get(path)?.()
      held.delete(path)
    },
  }
}

/** Returns whether each token came over one connection, and each connection carried one token. */
function isFaithful({ seen }: FakeUpstream): boolean {
  const pairs = new Set(seen.map(({ token, connection }) => `${connection} ${token}`))
  return (
    pairs.size === new Set(seen.map(({ token }) => token)).size &&
    pairs.size === new Set(seen.map(({ connection }) => connection)).size
  )
}

t.test('each connection has its own token, however often connections are replaced', async t => {
  for (const http2 of [false, true]) {
    let count = 0
    let isDue = false
    const { upstream, client } = await start(
      t,
      (_request, response, seen) => {
        count += 1
        if (isDue && count % 5 === 0) {
          isDue = false
          seen.cut()
        }
        if (count % 10 === 0 && !http2) response.setHeader('connection', 'close')
        response.end('answer')
      },
      { http2 },
    )
    for (let round = 0; round < 10; round++) {
      isDue = true
      const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch('/')))
      t.ok(answers.every(({ status }) => status === 200))
    }
    t.ok(upstream.handshakes > 4, `${upstream.handshakes} connections`)
    t.ok(isFaithful(upstream), 'no token was used on two connections')
    t.ok(upstream.handshakes >= upstream.tokenRequests)
  }
})

t.test('the real server rejects no request of a client whose connections are cut', async t => {
  const { server, relay, origin, identity } = await startServerBehindRelay(t)
  for (const http2 of [true, false]) {
    const client = createClient({ origin, identity, http2 })
    t.teardown(() => client.close())
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => client.fetch('/api/whoami')))
      t.ok(answers.every(({ status }) => status === 200))
      relay.cut()
    }
  }
  t.same(
    server.events.filter(({ event }) => event === 'token.refused'),
    [],
    '401 rate 0',
  )
})

t.test('over HTTP/1.1 each connection carries one request at a time, and the rest wait in order', async t => {
  const { serve, held, go } = hold()
  const { upstream, client } = await start(t, serve, { connections: 2 })
  const paths = Array.from({ length: 6 }, (_, index) => `/${index}`)
  const answers = paths.map(path => client.fetch(path).then(answer => answer.text()))
  for (const [index, path] of paths.entries()) {
    await until(() => held.has(path) && held.size === Math.min(2, 6 - index))
    go(path)
    t.equal(await answers[index], path)
  }
  t.same(
    upstream.seen.map(({ path }) => path),
    paths,
    'the requests are sent in order',
  )
  t.equal(upstream.handshakes, 2)
})

t.test('over HTTP/2 one connection carries all requests, up to the server’s limit', async t => {
  const { serve, held, go } = hold()
  const options = { http2: true, settings: { maxConcurrentStreams: 5 }, connections: 2 }
  const { upstream, client } = await start(t, serve, options)
  const answers = Array.from({ length: 12 }, (_, index) => client.fetch(`/${index}`))
  await until(() => held.size === 10)
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  t.match(
    [held.size, upstream.handshakes],
    [10, 2],
    'each of two connections carries five requests, and two requests wait',
  )
  for (let index = 0; index < 12; index++) {
    await until(() => held.has(`/${index}`))
    go(`/${index}`)
  }
  t.ok((await Promise.all(answers)).every(({ status }) => status === 200))
  t.ok(isFaithful(upstream))

  const many = await start(t, (_request, response) => response.end(), { http2: true })
  await Promise.all(Array.from({ length: 90 }, () => many.client.fetch('/')))
  t.equal(many.upstream.handshakes, 1)
})

t.test('sends nothing more over a connection that the server announced to close', async t => {
  const { upstream, client } = await start(
    t,
    (_request, response) => {
      response.setHeader('connection', 'close')
      response.end('answer')
    },
    { connections: 1 },
  )
  for (let count = 0; count < 5; count++)
    t.equal(
      (await client.fetch('/', { method: 'POST', body: 'text' })).status,
      200,
      'this includes a request that cannot be repeated',
    )
  t.match([upstream.handshakes, client.state().counts.repeated], [5, 0])
})

t.test('an aborted request leaves the queue', async t => {
  const { serve, held, go } = hold()
  const { upstream, client } = await start(t, serve, { connections: 1 })
  const first = client.fetch('/first')
  await until(() => held.has('/first'))
  const abort = new AbortController()
  const second = client.fetch('/second', { signal: abort.signal })
  const third = client.fetch('/third')
  abort.abort(new Error('enough'))
  await t.rejects(second, { message: 'enough' })
  const impatient = createClient({ ...upstream.target, connections: 1, timeout: 0.1 })
  t.teardown(() => impatient.close())
  const holding = impatient.fetch('/holding')
  await until(() => held.has('/holding'))
  await t.rejects(
    impatient.fetch('/late'),
    { name: 'ClientError', code: 'timed_out' },
    'the timeout includes the time in the queue',
  )
  for (const path of ['/first', '/third', '/holding']) {
    await until(() => held.has(path))
    go(path)
  }
  await Promise.all([first, third, holding])
  t.notOk(
    upstream.seen.some(({ path }) => path === '/second' || path === '/late'),
    'the aborted request is never sent',
  )
})

t.test('an aborted HTTP/1.1 request ends its connection and affects no other request', async t => {
  const { serve, held, go } = hold()
  const { upstream, client } = await start(t, serve, { connections: 1 })
  const abort = new AbortController()
  const aborted = client.fetch('/aborted', { signal: abort.signal })
  await until(() => held.has('/aborted'))
  const other = client.fetch('/other', { method: 'POST', body: 'text' })
  abort.abort()
  await t.rejects(aborted, { name: 'AbortError' })
  await until(() => held.has('/other'))
  go('/other')
  t.equal((await other).status, 200)
  t.ok(isFaithful(upstream))
})
