// Tokens are sent only to the client's own origin, and callers cannot set the client's own headers. GW03, GW11.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type Dispatcher, Request } from 'undici'
import { connect, createClient } from '../../src/client/client.ts'
import { json, startFakeUpstream } from '../helpers/client/fake-upstream.ts'

t.test('rejects a request to another origin before anything is sent', async t => {
  const upstream = await startFakeUpstream(t, (_request, response) => response.end('answer'))
  const elsewhere = await startFakeUpstream(t, (_request, response) => response.end('elsewhere'))
  const client = createClient(upstream.target)
  t.teardown(() => client.close())
  const { port } = new URL(upstream.origin)

  for (const address of [
    elsewhere.origin,
    `//localhost:${elsewhere.port}/`,
    `\\\\localhost:${elsewhere.port}/`,
    `https://localhost:${port}@localhost:${elsewhere.port}/`,
    `http://localhost:${port}/`,
    `https://LOCALHOST.:${port}/`,
    `https://127.0.0.1:${port}/`,
    'https://localhost/',
    'data:text/plain,hello',
  ])
    await t.rejects(client.fetch(address), { name: 'ClientError', code: 'wrong_origin' }, address)
  await t.rejects(client.fetch(new Request(elsewhere.origin)), { code: 'wrong_origin' })
  await t.rejects(client.fetch(globalThis.Request as never), TypeError)
  const asked = (options: Partial<Dispatcher.RequestOptions>) =>
    client.dispatcher.request({ path: '/', method: 'GET', ...options })
  await t.rejects(asked({ origin: elsewhere.origin }), { code: 'wrong_origin' })
  await t.rejects(asked({ path: `${elsewhere.origin}/` }), TypeError, 'an absolute URL is not a path')
  await t.rejects(asked({ path: 'relative' }), TypeError)
  await t.rejects(asked({ method: 'CONNECT' }))
  await t.rejects(client.dispatcher.upgrade({ path: '/', protocol: 'websocket' }), TypeError)
  t.same([upstream.seen, elsewhere.seen, upstream.handshakes, elsewhere.handshakes], [[], [], 0, 0], 'nothing was sent')

  for (const address of [
    '/',
    '',
    '?a=b',
    'relative/path',
    `${upstream.origin}/`,
    `HTTPS://LOCALHOST:${port}/%2e%2e//x`,
  ])
    t.equal((await client.fetch(address)).status, 200, `control: ${address} is within the origin`)
  t.equal((await asked({ path: '//evil.example/@x', origin: upstream.origin })).statusCode, 200)
  t.equal(upstream.seen.at(-1)?.path, '//evil.example/@x', 'a path that looks like a URL stays a path')
})

t.test('rejects a redirect to another origin, which gets no token', async t => {
  const elsewhere = await startFakeUpstream(t, (_request, response) => response.end('elsewhere'))
  const plain = createServer((request, response) => response.end(request.headers.authorization ?? 'nothing'))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  const { port } = plain.address() as AddressInfo
  const upstream = await startFakeUpstream(t, (request, response) => {
    const to = new URL(request.url, upstream.origin).searchParams.get('to')
    if (to === null) return json(response, 200, { method: request.method })
    response.writeHead(request.url.startsWith('/307') ? 307 : 302, { location: to }).end()
  })
  const client = createClient(upstream.target)
  t.teardown(() => client.close())

  for (const to of [`${elsewhere.origin}/`, `http://127.0.0.1:${port}/`, '//evil.example/'])
    await t.rejects(client.fetch(`/302?to=${encodeURIComponent(to)}`), { code: 'wrong_origin' }, to)
  t.equal(elsewhere.handshakes, 0)
  const followed = await client.fetch('/302?to=/here')
  t.match([followed.status, followed.redirected], [200, true], 'a redirect within the origin is followed')
  const again = await client.fetch('/307?to=/here', { method: 'POST', body: 'text' })
  t.match(await again.json(), { method: 'POST' })
  t.equal(
    (await client.dispatcher.request({ path: '/302?to=/here', method: 'GET' })).statusCode,
    302,
    'undici does not follow it',
  )
})

t.test('rejects a request with a header that only the client sets', async t => {
  const upstream = await startFakeUpstream(t, (request, response) => json(response, 200, request.headers))
  const client = createClient(upstream.target)
  t.teardown(() => client.close())
  const forms = (name: string, value: string): Dispatcher.DispatchOptions['headers'][] => [
    { [name]: value },
    [name, value],
    new Map([[name, value]]),
    new Headers({ [name]: value }),
  ]
  for (const name of ['Authorization', 'authorization', 'AUTHORIZATION', 'Session-Binding-Proof'])
    for (const headers of forms(name, 'Bearer mine'))
      await t.rejects(
        client.dispatcher.request({ path: '/', method: 'GET', headers: headers as never }),
        TypeError,
        name,
      )
  await t.rejects(client.fetch('/', { headers: { authorization: 'Bearer mine' } }), TypeError)
  await t.rejects(
    client.dispatcher.request({ path: '/', method: 'GET', headers: { host: 'other.example' } }),
    TypeError,
  )
  t.equal(upstream.handshakes, 0)

  for (const headers of forms('X-Other', 'value')) {
    const { body } = await client.dispatcher.request({ path: '/', method: 'GET', headers: headers as never })
    t.match(await body.json(), { 'x-other': 'value', authorization: /^Bearer ey/ })
  }
  const { host } = new URL(upstream.origin)
  t.equal((await client.dispatcher.request({ path: '/', method: 'GET', headers: { host } })).statusCode, 200)
  for (const headers of [
    { 'x-a': 'a\r\nauthorization: Bearer mine' },
    { 'bad name': 'a' },
    { 'transfer-encoding': 'chunked' },
  ])
    await t.rejects(client.dispatcher.request({ path: '/', method: 'GET', headers }), { code: 'UND_ERR_INVALID_ARG' })
  t.equal(upstream.handshakes, 1, 'an invalid request opens no connection')
})

t.test('rejects invalid options at creation', async t => {
  const upstream = await startFakeUpstream(t, () => {})
  const { identity, pki } = upstream
  const origins = [
    'http://localhost',
    'localhost:8443',
    'https://localhost/path',
    'https://a:b@localhost',
    'https://localhost?q',
    '',
  ]
  for (const origin of origins) {
    t.throws(() => createClient({ origin, identity }), TypeError, origin)
    await t.rejects(connect(origin, identity), TypeError)
  }
  const unusable = { name: 'ClientError', code: 'identity_unusable' }
  t.throws(() => createClient({ ...upstream.target, identity: { ...identity, key: pki.bob.key } }), unusable)
  t.throws(() => createClient({ ...upstream.target, identity: { ...identity, ca: '' } }), unusable)
  t.throws(() => createClient({ ...upstream.target, identity: { ...identity, certificate: 'nothing' } }), unusable)
  await createClient({ ...upstream.target, origin: 'https://localhost:8443/' }).close()
})
