// A request that the client aborts before its response is still recorded, with the client's identity. Resetting a stream
// costs nothing, and the same connection can open another one (RFC 9113 §6.4). I7.
import { connect, constants } from 'node:http2'
import t, { type Test } from 'tap'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { register, startGrant } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

/** A store whose selected calls wait until they are released. */
function holdStore(store: Store) {
  let gate = Promise.resolve()
  let release = () => {}
  const held = new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (!/^(find(Refresh|Access)Token|createGrant)$/.test(String(name))) return member.bind(target)
      return (...values: unknown[]) => gate.then(() => member.apply(target, values))
    },
  })
  const hold = () => {
    gate = new Promise(resolve => {
      release = resolve
    })
  }
  return { store: held, hold, release: () => release() }
}

/** A server with tokens of alice, and the requests that a client can abort. */
async function start(t: Test) {
  const { store, ...gate } = holdStore(openSqlite(':memory:'))
  const clients = [register('alice', { access_token_format: 'opaque' }), register('bob')]
  const server = await startTestServer({ store, clients })
  t.teardown(() => server.close())
  const asked: { readonly aborted: boolean }[] = []
  server.app.server.on('request', request => asked.push(request))
  const stolen = await startGrant(await server.connect('alice'), { token_binding: 'certificate' })
  return { server, asked, stolen, ...gate }
}

const form = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString()
const formType = { 'content-type': 'application/x-www-form-urlencoded' }

for (const [what, request, expected] of [
  [
    "another client's refresh token",
    (_access: string, refresh_token: string) =>
      [
        { ':method': 'POST', ':path': '/oauth/token', ...formType },
        form({ grant_type: 'refresh_token', client_id: 'bob', refresh_token }),
      ] as const,
    { event: 'token.refused', reason: 'refresh_unknown', client_id: 'alice', by: 'bob' },
  ],
  [
    "another client's access token",
    (access: string) => [{ ':path': '/api/whoami', authorization: `Bearer ${access}` }, undefined] as const,
    { event: 'token.refused', reason: 'certificate_mismatch', client_id: 'alice' },
  ],
  [
    'a token of its own',
    () =>
      [
        { ':method': 'POST', ':path': '/oauth/token', ...formType },
        form({ grant_type: 'client_credentials', client_id: 'bob' }),
      ] as const,
    { event: 'token.issued', client_id: 'bob' },
  ],
] as const)
  t.test(`records an HTTP/2 request whose stream is reset before the response: ${what}`, async t => {
    const { server, asked, stolen, hold, release } = await start(t)
    const bob = await server.connect('bob', { ALPNProtocols: ['h2'] })
    const session = connect(server.origin, { createConnection: () => bob.socket })
    t.teardown(() => session.destroy())
    const [headers, body] = request(stolen.access, stolen.refresh)
    const ask = () => {
      const stream = session.request({ ':authority': `localhost:${server.port}`, ...headers }, { endStream: !body })
      if (body) stream.end(body)
      return stream.on('error', () => {})
    }
    const whole = { ...expected, peer: '127.0.0.1', peer_port: bob.socket.localPort, tls: 'TLSv1.3' }
    await new Promise(resolve => ask().on('response', resolve))
    const { 'x5t#S256': certificate } = server.events.at(-1)
    t.match(certificate, /^[\w-]{43}$/)
    t.match(server.events.at(-1), whole, 'control: a request that waits for its response')

    const [count, before] = [server.events.length, asked.length]
    server.clock += 61 // equal signals are one alarm per minute
    hold()
    const stream = ask()
    await until(() => asked.length > before)
    stream.close(constants.NGHTTP2_CANCEL)
    await until(() => asked[before]?.aborted === true)
    release()
    await until(() => server.events.length > count)
    t.match(server.events.slice(count), [{ ...whole, 'x5t#S256': certificate }])
    t.equal(server.alarms.length, expected.event === 'token.refused' ? 2 : 0)
    t.equal(session.closed, false, 'control: the connection stays open')
  })

t.test('records HTTP/1.1 requests whose connection is cut before the response', async t => {
  const { server, asked, stolen, hold, release } = await start(t)
  const ask = async () => {
    const bob = await server.connect('bob')
    const body = form({ grant_type: 'refresh_token', client_id: 'bob', refresh_token: stolen.refresh })
    const answer = bob.call('/oauth/token', { method: 'POST', headers: formType, body })
    return { bob, peer_port: bob.socket.localPort, answer: answer.catch(() => undefined) }
  }
  const expected = { event: 'token.refused', reason: 'refresh_unknown', client_id: 'alice', peer: '127.0.0.1' }
  const control = await ask()
  await control.answer
  const { 'x5t#S256': certificate } = server.events.at(-1)
  t.match(
    server.events.at(-1),
    { ...expected, peer_port: control.peer_port },
    'control: a request that waits for its response',
  )

  const [count, before, open] = [server.events.length, asked.length, server.tls.connections.size]
  hold()
  const { bob, peer_port } = await ask()
  await until(() => asked.length > before)
  bob.close()
  await until(() => server.tls.connections.size === open)
  release()
  await until(() => server.events.length > count)
  t.match(server.events.slice(count), [{ ...expected, peer_port, 'x5t#S256': certificate }])
})
