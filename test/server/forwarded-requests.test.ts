// Behind a proxy that ends TLS: a request under way ends when its client may no longer act, and those of the other clients of the same
// connection go on.
import { once } from 'node:events'
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { buildRevocation } from '../../src/core/revocations.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { issueCrl, startTestServer, type TestServer } from '../../src/testing/server.ts'
import { fieldOf, issueProxy, through, thumbprintOf } from '../helpers/server/proxies.ts'
import { claimsOf, register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const pki = makeDemoPki()
const edge = issueProxy('edge', pki.ca)
const entry = { form: 'client-cert', 'x5t#S256': thumbprintOf(edge) }
const listOf = (...revoked: { serialNumber: string }[]) => issueCrl({ issuer: pki.ca, revoked })
const clients = [
  register('alice', { token_bindings: ['certificate'] }),
  register('bob', { token_bindings: ['certificate'] }),
] as const
type Name = 'alice' | 'bob'

async function* endless() {
  for (;;) {
    yield 'data: tick\n\n'
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function start(t: Test, more: object = {}): Promise<TestServer> {
  const server = await startTestServer({
    ...{ pki, clients: [...clients], tls: { clientCertFrom: [entry], crl: listOf() } },
    routes: app => void app.get('/events', (_request, reply) => reply.send(Readable.from(endless()))),
    ...more,
  })
  t.teardown(() => server.close())
  return server
}

/** A response that goes on. */
interface Stream {
  readonly isOpen: () => boolean
  /** The number of octets so far. */
  readonly received: () => number
}

/** Opens streams on connections of the proxy: over HTTP/2 all on one, over HTTP/1.1 each on its own, as proxies do. */
function openStreams(t: Test, server: TestServer, protocol: string) {
  const identity = { ca: pki.ca.certificate, cert: edge.certificate, key: edge.key, servername: 'localhost' }
  const headersOf = (name: Name, token: string) => ({
    ...{ host: 'localhost', authorization: `Bearer ${token}` },
    'client-cert': fieldOf['client-cert'](pki[name]),
  })
  const session = protocol === 'h2' ? connectHttp2(server.origin, identity) : undefined
  const agent = new Agent({ ...identity, keepAlive: true })
  t.teardown(() => {
    session?.destroy()
    agent.destroy()
  })
  return async (name: Name, token: string): Promise<Stream> => {
    let body: Readable
    if (session === undefined) {
      const sent = httpsRequest({ agent, port: server.port, path: '/events', headers: headersOf(name, token) }).end()
      const [answer] = await once(sent, 'response')
      t.equal(answer.statusCode, 200)
      body = answer
    } else {
      const { host: _, ...headers } = headersOf(name, token)
      const stream: ClientHttp2Stream = session.request({ ':path': '/events', ...headers })
      t.match(await once(stream, 'response'), [{ ':status': 200 }])
      body = stream
    }
    let received = 0
    body.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    body.on('error', () => {})
    return { isOpen: () => !body.destroyed && !body.readableEnded, received: () => received }
  }
}

async function goesOn(t: Test, stream: Stream): Promise<void> {
  const before = stream.received()
  await until(() => stream.received() > before)
  t.ok(stream.isOpen())
}

const tokenOf = async (server: TestServer, name: Name) =>
  through(await server.connect(edge), { 'client-cert': fieldOf['client-cert'](pki[name]) }).token({ client_id: name })

type End = (server: TestServer, token: string) => Promise<void> | void
const ends: Readonly<Record<string, readonly [reason: string, End]>> = {
  'its token is revoked': [
    'revoked',
    (server, token) => server.store.revoke(buildRevocation('token', claimsOf(token).jti, server.clock)),
  ],
  'its client is disabled': [
    'revoked',
    async server => void (await server.store.disableClient('alice', JSON.stringify(clients[0]))),
  ],
  'its certificate is revoked in the store': [
    'revoked',
    server => server.store.revoke(buildRevocation('certificate', thumbprintOf(pki.alice), server.clock + 1)),
  ],
  'its certificate is revoked by a list': [
    'certificate_revoked',
    server => {
      const { certificate: cert, key } = pki.server
      const crl = listOf({ serialNumber: pki.alice.x509.serialNumber })
      server.tls.reload({ cert, key, ca: pki.ca.certificate, crl, clientCertFrom: [entry] })
    },
  ],
}
for (const protocol of ['http/1.1', 'h2'])
  for (const [name, [reason, end]] of Object.entries(ends))
    t.test(`${protocol}: ends a request under way when ${name}, and no other`, async t => {
      const server = await start(t)
      const open = openStreams(t, server, protocol)
      const token = await tokenOf(server, 'alice')
      const [alice, bob] = [await open('alice', token), await open('bob', await tokenOf(server, 'bob'))]
      await goesOn(t, alice)
      await end(server, token)
      await until(() => !alice.isOpen())
      t.match(server.alarms.at(-1), {
        ...{ event: 'connection.closed', reason, attested: 'proxy' },
        'x5t#S256': thumbprintOf(pki.alice),
      })
      await goesOn(t, bob)
      t.equal(server.alarms.length, 1)
    })

t.test('ends all of them when the proxy is taken from the list', async t => {
  const server = await start(t)
  const open = openStreams(t, server, 'h2')
  const stream = await open('alice', await tokenOf(server, 'alice'))
  const { certificate: cert, key } = pki.server
  server.tls.reload({ cert, key, ca: pki.ca.certificate, crl: listOf(), clientCertFrom: [] })
  await until(() => !stream.isOpen())
  t.match(server.alarms.at(-1), { event: 'connection.closed', reason: 'no_certificate' })
})

t.test('a request under way may take longer than its token is valid', async t => {
  const server = await start(t, { env: { TLSBOUND_ACCESS_TOKEN_LIFETIME: '1' } })
  const open = openStreams(t, server, 'h2')
  const token = await tokenOf(server, 'alice')
  const stream = await open('alice', token)
  server.clock += 60
  const behind = through(await server.connect(edge), { 'client-cert': fieldOf['client-cert'](pki.alice) })
  t.match(await behind.get('/events', token), { status: 401, body: { reason: 'expired' } }, 'a new one is refused')
  await new Promise(resolve => setTimeout(resolve, 2500))
  await goesOn(t, stream)
})
