// WebSockets through the gateway, with ws at both ends: verified like any request, and closed with their token.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { AccessToken } from '../../src/core/access-token.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { buildRevocation } from '../../src/core/revocations.ts'
import { createGateway, type Gateway, type GatewayHost } from '../../src/gateway/gateway.ts'
import { parseRoutes } from '../../src/gateway/routes.ts'
import { tunnelLimits } from '../../src/gateway/tunnels.ts'
import type { UpstreamMaterial } from '../../src/gateway/upstream.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { issueCrl, type TestConnection, type TestServer } from '../../src/testing/server.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'
import { hostWith, startGateway, startRawUpstream } from '../helpers/server/gateway.ts'
import { scrape } from '../helpers/server/metrics.ts'
import { fieldOf, issueProxy, thumbprintOf } from '../helpers/server/proxies.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { until } from '../helpers/until.ts'

/** An upstream that echoes messages; it accepts a WebSocket for any path but /refuse. */
async function startEcho(t: Test) {
  const server = createServer((_request, response) => void response.writeHead(426).end('plain'))
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true })
  const requests: IncomingMessage[] = []
  const peers = new Set<WebSocket>()
  server.on('upgrade', (request, socket, head) => {
    requests.push(request)
    if (request.url === '/refuse') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    sockets.handleUpgrade(request, socket, head, peer => {
      peers.add(peer)
      peer.on('close', () => peers.delete(peer))
      peer.on('message', (message, isBinary) => peer.send(message, { binary: isBinary }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const peer of peers) peer.terminate()
    server.closeAllConnections()
    server.close()
  })
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, peers }
}

/** Opens a WebSocket on the connection of a test's client, so that every level works. */
function open(t: Test, { socket }: TestConnection, path: string, token?: string, fields: object = {}): WebSocket {
  const headers = { ...fields, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const opened = new WebSocket(`wss://localhost${path}`, { createConnection: () => socket, headers })
  opened.on('error', () => {})
  t.teardown(() => opened.terminate())
  return opened
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text)
  const [answer] = (await once(socket, 'message')) as [Buffer]
  return answer.toString()
}

/** A token of level certificate, so that its connection is still unused. */
async function tokenOf(
  server: TestServer,
  parameters: Record<string, string> = {},
  name: 'alice' | 'bob' = 'alice',
): Promise<string> {
  const connection = await server.connect(name)
  const token = await connection.token({ token_binding: 'certificate', ...parameters })
  connection.close()
  return token
}

const start = async (t: Test, route: object = {}) => {
  const upstream = await startEcho(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, ...route }], {
    ops: true,
    closeAfter: 200,
  })
  return { upstream, server }
}

t.test('passes messages in both directions, and states the identity', async t => {
  const { upstream, server } = await start(t, { scope: 'notes:read' })
  const socket = open(t, await server.connect('alice'), '/chat?room=1', await tokenOf(server))
  await once(socket, 'open')
  t.equal(await echo(socket, 'one'), 'one')
  const large = 'x'.repeat(5_000_000)
  t.equal(await echo(socket, large), large)
  t.equal(upstream.requests[0]?.url, '/chat?room=1')
  t.match(upstream.requests[0]?.headers, {
    host: new URL(upstream.address).host,
    'tlsbound-assertion': /^ey/,
    authorization: undefined,
    'x-forwarded-proto': 'https',
  })
  t.equal((await scrape(server)).get('tlsbound_gateway_tunnels_open'), 1)
  socket.close(1000)
  const [code] = await once(socket, 'close')
  t.equal(code, 1000, 'the closing handshake is passed on too')
  await until(() => upstream.peers.size === 0)
  const after = await scrape(server)
  t.equal(after.get('tlsbound_gateway_tunnels_open'), 0)
  t.equal(after.get('tlsbound_gateway_requests_total{route="/",outcome="answered"}'), 1)
})

t.test('a connection-bound token works, on the connection of the upgrade', async t => {
  const { server } = await start(t, { binding: 'connection' })
  const alice = await server.connect('alice')
  const form = 'grant_type=client_credentials&client_id=alice'
  const type = ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${form.length}`]
  const { answers } = await exchange(alice, requestText('POST /oauth/token', type, form), { until: 1 })
  const token = answers[0]?.body.access_token
  const socket = open(t, alice, '/', token)
  await once(socket, 'open')
  t.equal(await echo(socket, 'one'), 'one')
  const other = open(t, await server.connect('alice'), '/', token)
  const [, refused] = (await once(other, 'unexpected-response')) as [unknown, IncomingMessage]
  t.equal(refused.statusCode, 401)
  t.match(server.events.at(-1), { reason: 'connection_mismatch' })
})

t.test('refuses an upgrade like any other request, and passes on the refusal of the upstream', async t => {
  const { upstream, server } = await start(t, { scope: 'notes:write' })
  const refusal = async (path: string, token?: string) => {
    const [, answer] = (await once(open(t, await server.connect('alice'), path, token), 'unexpected-response')) as [
      unknown,
      IncomingMessage,
    ]
    let text = ''
    for await (const chunk of answer) text += chunk
    return { status: answer.statusCode, text }
  }
  t.match(await refusal('/'), { status: 401, text: /no_token/ })
  t.match(await refusal('/', await tokenOf(server, { scope: 'notes:read' })), { status: 403, text: /scope_missing/ })
  t.match(await refusal('//'), { status: 400, text: /path_ambiguous|empty segment/ })
  t.match(await refusal('/oauth/jwks'), { status: 200 }, 'an endpoint of the server ignores the upgrade')
  t.equal(upstream.requests.length, 0)
  t.match(await refusal('/refuse', await tokenOf(server)), { status: 403, text: 'no' })
  const silent = await startRawUpstream(
    t,
    socket => void socket.write('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n'),
  )
  const other = await startGateway(t, [{ path: '/', upstream: silent.address, public: true }])
  const [, answer] = (await once(open(t, await other.connect('alice'), '/'), 'unexpected-response')) as [
    unknown,
    IncomingMessage,
  ]
  t.equal(answer.statusCode, 502)
})

t.test('answers a refusal with an invalid status with 502', async t => {
  const upstream = await startRawUpstream(t, socket =>
    socket.end('HTTP/1.1 050 X\r\nX-Odd: 1\r\nContent-Length: 2\r\n\r\nno'),
  )
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
  const { answers } = await exchange(await server.connect('alice'), requestText('GET /x', upgrade), { until: 1 })
  t.match(answers[0], { status: 502, body: { reason: 'upstream_failed' } })
  t.notOk('x-odd' in (answers[0]?.headers ?? {}), 'no field of the upstream')
})

t.test('an upgrade to anything else, or with a body, is a request without an upgrade', async t => {
  const { upstream, server } = await start(t, { public: true })
  for (const fields of [
    ['Upgrade: h2c', 'HTTP2-Settings: x'],
    ['Upgrade: tcp'],
    ['Upgrade: websocket', 'Content-Length: 2'],
  ]) {
    const lines = ['Connection: Upgrade', ...fields]
    const { answers } = await exchange(
      await server.connect('alice'),
      requestText('GET /', lines, fields.length > 1 && fields[1]?.startsWith('C') ? 'hi' : ''),
      { until: 1 },
    )
    t.match(answers, [{ status: 426, text: 'plain' }], fields.join())
  }
  t.equal(upstream.requests.length, 0)
})

t.test('closes a WebSocket when its token expires', async t => {
  const { upstream, server } = await start(t)
  const socket = open(t, await server.connect('alice'), '/', await tokenOf(server))
  await once(socket, 'open')
  server.clock += 299
  await new Promise(resolve => setTimeout(resolve, tunnelLimits.recheck + 500))
  t.equal(await echo(socket, 'still'), 'still', 'control')
  const closed = once(socket, 'close')
  server.clock += 1
  await closed
  await until(() => upstream.peers.size === 0)
  t.match(server.alarms.at(-1), { event: 'connection.closed', reason: 'expired' })
})

const ends: Readonly<Record<string, (server: TestServer, token: string) => Promise<void>>> = {
  'its token is revoked': async (server, token) => {
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
    await server.store.revoke(buildRevocation('token', jti, server.clock))
  },
  'all tokens are revoked': async server => server.store.revoke(buildRevocation('all', '', server.clock + 1)),
}
for (const [name, end] of Object.entries(ends))
  t.test(`closes a WebSocket when ${name}, and no other`, async t => {
    const { server } = await start(t)
    const socket = open(t, await server.connect('alice'), '/', await tokenOf(server))
    await once(socket, 'open')
    const token = await tokenOf(server)
    const revoked = open(t, await server.connect('alice'), '/', token)
    await once(revoked, 'open')
    const closed = once(revoked, 'close')
    await end(server, token)
    await closed
    t.match(server.alarms.at(-1), { event: 'connection.closed', reason: 'revoked' })
    if (name === 'its token is revoked') t.equal(await echo(socket, 'other'), 'other')
  })

t.test('closes a WebSocket when its client is disabled', async t => {
  const { server } = await start(t)
  const socket = open(t, await server.connect('alice'), '/', await tokenOf(server))
  await once(socket, 'open')
  const closed = once(socket, 'close')
  const registration = {
    client_id: 'alice',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=alice',
    scope: 'notes:read',
  }
  await server.store.disableClient('alice', JSON.stringify(registration))
  await closed
  t.match(
    server.alarms.map(({ event }) => event),
    ['connection.closed'],
  )
})

t.test('ends both sides when one is gone, and with the server', async t => {
  const { upstream, server } = await start(t, { public: true })
  const first = open(t, await server.connect('alice'), '/')
  await once(first, 'open')
  first.terminate()
  await until(() => upstream.peers.size === 0)
  const second = open(t, await server.connect('alice'), '/')
  await once(second, 'open')
  const gone = once(second, 'close')
  for (const peer of upstream.peers) peer.terminate()
  await gone
  const third = open(t, await server.connect('alice'), '/')
  await once(third, 'open')
  const ended = once(third, 'close')
  await server.close()
  await ended
  t.pass('the server closes although a WebSocket was open')
})

/** Loads routes that present no certificate to their upstreams. */
const load = (...list: readonly object[]) =>
  parseRoutes(list, [], { levels: ['certificate'] }).map(one => ({ ...one, material: {} as UpstreamMaterial }))

/** Starts an app with this gateway alone. Returns what opens a WebSocket. */
async function mount(t: Test, gateway: Gateway, host: GatewayHost) {
  const { ca, server: own } = makeDemoPki()
  const app = Fastify({ serverFactory: mutualTls({ cert: own.certificate, key: own.key, ca: ca.certificate }) })
  gateway.mount(app, host)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  return async (path: string) => {
    const socket = new WebSocket(`wss://localhost:${port}${path}`, { ca: ca.certificate })
    t.teardown(() => socket.terminate())
    await once(socket, 'open')
    return socket
  }
}

t.test('a WebSocket ends in time although an earlier check of its token waits for the issuer', async t => {
  const upstream = await startEcho(t)
  const refusal = new OAuthError('invalid_token', 'revoked', 'token')
  const pending: ((error: Error) => void)[] = []
  let isRevoked = false
  const recheck: GatewayHost['check']['recheck'] = (_request, _token, mayWait) => {
    if (isRevoked) throw refusal
    return mayWait === false ? undefined : new Promise((_resolve, reject) => void pending.push(reject))
  }
  const ended: string[] = []
  const token = {
    claims: { sub: 'alice', client_id: 'alice', cnf: {} },
    binding: 'certificate',
  } as unknown as AccessToken
  const on = await mount(t, createGateway(load({ path: '/', upstream: upstream.address })), {
    ...hostWith(
      t,
      Object.assign(() => token, { recheck }),
    ),
    onTunnelEnd: (_socket, reason) => void ended.push(reason),
  })
  const socket = await on('/')
  await until(() => pending.length === 1)
  await pause(tunnelLimits.recheck * 1.5)
  t.equal(await echo(socket, 'one'), 'one', 'control')
  t.equal(pending.length, 1, 'one check waits at a time')
  const closed = once(socket, 'close')
  isRevoked = true
  await closed
  pending[0]?.(refusal)
  await pause(10)
  t.same(ended, ['revoked'], 'once')
})

t.test('a reload ends the WebSockets of a route that is gone or has changed, and no other', async t => {
  const upstream = await startEcho(t)
  const route = (path: string, more: object = {}) => ({ path, upstream: upstream.address, public: true, ...more })
  const gateway = createGateway(load(route('/kept'), route('/gone'), route('/changed')))
  const on = await mount(
    t,
    gateway,
    hostWith(
      t,
      Object.assign(() => t.fail('a token was verified') as never, { recheck: () => {} }),
    ),
  )
  const [kept, gone, changed] = [await on('/kept'), await on('/gone'), await on('/changed')]
  const closed = Promise.all([once(gone, 'close'), once(changed, 'close')])
  gateway.replace(load(route('/new'), route('/kept'), { ...route('/changed'), public: false, scope: 'notes:write' }))
  await closed
  t.equal(await echo(kept, 'one'), 'one')
})

t.test('opens no more WebSockets than its limit', async t => {
  const { server } = await start(t, { public: true })
  const { open: most } = tunnelLimits
  t.teardown(() => {
    tunnelLimits.open = most
  })
  tunnelLimits.open = 1
  const first = open(t, await server.connect('alice'), '/chat')
  await once(first, 'open')
  const second = open(t, await server.connect('alice'), '/chat')
  const [, answer] = (await once(second, 'unexpected-response')) as [unknown, IncomingMessage]
  t.equal(answer.statusCode, 503)
  t.match(server.events.at(-1), { reason: 'upstream_unavailable', detail: 'tunnels', facts: { limit: 1 } })
  first.close()
  await once(first, 'close')
  const third = open(t, await server.connect('alice'), '/chat')
  await once(third, 'open')
  t.equal(await echo(third, 'one'), 'one', 'control: after the first one has closed')

  const silent = await startRawUpstream(t, () => {})
  const other = await startGateway(t, [{ path: '/', upstream: silent.address, public: true }], { closeAfter: 200 })
  const waiting = open(t, await other.connect('alice'), '/chat')
  await until(() => silent.received.some(octets => octets !== ''))
  const refused = open(t, await other.connect('alice'), '/chat')
  const [full] = (await once(refused, 'unexpected-response').then(([, answer]) => [answer])) as [IncomingMessage]
  t.equal(full.statusCode, 503, 'one that the upstream has not accepted counts too')
  waiting.terminate()
  await until(() => silent.sockets.size === 0)
  const next = open(t, await other.connect('alice'), '/chat')
  await until(() => silent.sockets.size === 1)
  t.pass('control: after it was given up')
  next.terminate()
})

t.test('closes one behind a proxy that ends TLS with the certificate of its client, and with the proxy', async t => {
  const pki = makeDemoPki()
  const proxies = [issueProxy('edge', pki.ca), issueProxy('other edge', pki.ca)] as const
  const list = (serials: readonly string[]) =>
    issueCrl({ issuer: pki.ca, revoked: serials.map(serialNumber => ({ serialNumber })) })
  const entryOf = (proxy: (typeof proxies)[number]) => ({ form: 'client-cert', 'x5t#S256': thumbprintOf(proxy) })
  const material = { clientCertFrom: proxies.map(entryOf), crl: list([]) }
  const upstream = await startEcho(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address }], { pki, tls: material })
  const start = async (name: 'alice' | 'bob', proxy: (typeof proxies)[number]) => {
    const fields = { 'Client-Cert': fieldOf['client-cert'](pki[name]) }
    const socket = open(t, await server.connect(proxy), '/', await tokenOf(server, {}, name), fields)
    await once(socket, 'open')
    return socket
  }
  const [revoked, withdrawn, control] = [
    await start('alice', proxies[0]),
    await start('bob', proxies[0]),
    await start('bob', proxies[1]),
  ]
  const { certificate: cert, key } = pki.server
  const loaded = { ...material, cert, key, ca: pki.ca.certificate, crl: list([pki.alice.x509.serialNumber]) }
  const started = performance.now()
  server.tls.reload(loaded)
  await once(revoked, 'close')
  t.ok(performance.now() - started < 5000, 'not with the connection of the proxy, up to a minute later')
  t.match(server.alarms.at(-1), { event: 'connection.closed', reason: 'certificate_revoked' })
  t.equal(await echo(withdrawn, 'one'), 'one', 'the certificate of another client')
  server.tls.reload({ ...loaded, clientCertFrom: [entryOf(proxies[1])] })
  await once(withdrawn, 'close')
  t.equal(await echo(control, 'two'), 'two', 'another proxy')
})
