// Why a signed request is refused: each detail, caused over real TLS, with the facts in its event. RFC 9421 §3.2, RFC 9530 §2.
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { createVerifier, mutualTls } from 'tlsbound'
import type { Call } from '../../src/lab/connection.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../src/testing/server.ts'
import { connectionOf } from '../../src/tls/connection.ts'
import { maximumUsed } from '../../src/verify/proofs.ts'
import { type Signing, signCall } from '../helpers/client/sign-call.ts'
import { type Provocation, type Provocations, provoke, provokeEach } from '../helpers/server/details.ts'
import { issuer } from '../helpers/tokens/forge-token.ts'
import { register } from '../helpers/tokens/grants.ts'

const server = await startTestServer({
  clients: [register('alice', { token_bindings: ['connection', 'certificate'] })],
  env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' },
  routes: app => {
    const config = { requireToken: { proof: 'signed-request' } } as const
    app.get('/signed', { config }, () => 'read')
    app.post('/signed', { config }, request => request.body)
  },
})
t.teardown(() => server.close())
const { pki } = server
const sockets: TLSSocket[] = []
server.app.server.on('secureConnection', (socket: TLSSocket) => void sockets.push(socket))
const alice = await server.connect('alice')
const second = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const posted = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
const sign = (call: Call = {}, signing: Signing = {}, by: TestConnection = alice) =>
  signCall(by, pki.alice, '/signed', { token, ...call }, signing, server.clock)
const send = (call: Call = {}, signing: Signing = {}) => ({ send: () => alice.call('/signed', sign(call, signing)) })
const fieldsOf = (call: Call) => call.headers as Record<string, string>

t.beforeEach(async t => {
  t.match(await send().send(), { status: 200, text: 'read' }, 'control')
  t.match(await send(posted).send(), { status: 200, body: { a: 1 } }, 'control')
})

t.test('signature_missing: reports each detail (N-69)', async t => {
  const input = fieldsOf(sign())['signature-input']?.replace('tlsbound-request', 'other')
  await provokeEach(t, server, 'signature_missing', {
    header_missing: [
      { send: () => alice.get('/signed', token), facts: { header: 'signature-input' } },
      { ...send({}, { fields: { signature: undefined } }), facts: { header: 'signature' } },
    ],
    other_tag: { ...send({}, { fields: { 'signature-input': input } }), facts: { expected: 'tlsbound-request' } },
  })
})

t.test('signature_invalid: reports each detail with what was found', async t => {
  const changed = (from: string | RegExp, to: string) => {
    const call = sign()
    const input = fieldsOf(call)['signature-input']?.replace(from, to)
    return {
      send: () => alice.call('/signed', { ...call, headers: { ...call.headers, 'signature-input': input ?? '' } }),
    }
  }
  const doubled = sign()
  const { 'signature-input': input = '', signature = '' } = fieldsOf(doubled)
  const many = Array.from({ length: 17 }, (_, index) => `l${index}`)
  const fields = (more: Record<string, string>) => ({
    send: () => alice.call('/signed', { ...doubled, headers: { ...doubled.headers, ...more } }),
  })
  const keyPair = generateKeyPairSync('ec', { namedCurve: 'P-521' })
  const large = issueCertificate({
    issuer: pki.ca,
    subject: [['CN', 'alice']],
    keyPair,
    extendedKeyUsage: ['clientAuth'],
  })
  const withLarge = await server.connect(large)
  const largeToken = await withLarge.token({ token_binding: 'certificate' })
  const weak = await server.connect('alice', { maxVersion: 'TLSv1.2', secureOptions: 1 })
  t.match(await alice.call('/signed', sign({}, { nonce: 'used' })), { status: 200 }, 'control')
  const { clock } = server
  await provokeEach(t, server, 'signature_invalid', {
    form: {
      ...fields({ signature: `${signature}, ${signature}` }),
      facts: { found: 'Signature: 2 members with 1 keys' },
    },
    labels: {
      ...fields({
        'signature-input': many.map(label => `${label}=()`).join(', '),
        signature: many.map(label => `${label}=:AAAA:`).join(', '),
      }),
      facts: { found: 17, limit: 16 },
    },
    too_long: { ...fields({ signature: `sig=:${'A'.repeat(8190)}:` }), facts: { header: 'signature', limit: 8192 } },
    two_signatures: {
      ...fields({
        'signature-input': `${input}, ${input.replace('sig=', 'two=')}`,
        signature: `${signature}, ${signature.replace('sig=', 'two=')}`,
      }),
      facts: { found: 'sig two' },
    },
    parameter: [
      { ...changed(/;nonce="[^"]+"/, ''), facts: { parameter: 'nonce' } },
      { ...changed(';nonce', ';other=1;nonce'), facts: { parameter: 'other' } },
    ],
    component_missing: { ...changed('"@method" ', ''), facts: { member: '@method' } },
    component: [
      { ...changed('"@method"', '"@method";req'), facts: { found: '@method with parameters' } },
      { ...changed('"@method"', '"@method" "x-absent"'), facts: { found: 'x-absent has no value' } },
    ],
    key_kind: {
      send: () => withLarge.call('/signed', sign({ token: largeToken })),
      facts: { found: 'ec secp521r1', expected: /^P-256/ },
    },
    other_key: {
      ...changed(/keyid="[^"]+"/, 'keyid="a"'),
      facts: { parameter: 'keyid', found: 'a', expected: /^[\w-]{43}$/ },
    },
    outside_window: { ...send({}, { ahead: -61 }), facts: { found: /^\d+ to \d+$/, limit: 60, now: clock } },
    channel_binding: {
      ...fields({ 'tls-channel-binding': 'tls-unique=:AAAA:' }),
      facts: { header: 'tls-channel-binding' },
    },
    other_connection: { send: () => second.call('/signed', sign()) },
    no_channel_binding: { send: () => weak.call('/signed', sign()) },
    wrong_signature: {
      send: () => alice.call('/signed', sign({}, { method: 'PUT' })),
      facts: { alg: 'ecdsa-p256-sha256' },
    },
    used_already: send({}, { nonce: 'used' }),
    too_many: { send: floodWithNonces, facts: { limit: maximumUsed } },
  })
})

async function floodWithNonces() {
  const socket = sockets.find(({ remotePort }) => remotePort === alice.socket.localPort)
  const used = connectionOf(socket)?.usedProofs as Map<string, number>
  const before = [...used.keys()]
  while (used.size < maximumUsed) used.set(`id ${used.size}`, server.clock)
  const answer = await send().send()
  for (const id of used.keys()) if (!before.includes(id)) used.delete(id)
  return answer
}

t.test('digest_invalid: reports each detail with what was found', async t => {
  const digest = (value: string) => send({ ...posted, headers: { ...posted.headers, 'content-digest': value } })
  const { headers } = sign({ headers: { 'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:' } })
  t.match(await alice.call('/signed', { token, ...(headers && { headers }) }), { status: 200 }, 'control: of no body')
  const rows: Omit<Provocations<'digest_invalid'>, 'upgrade'> = {
    missing: { send: () => alice.call('/signed', { ...posted, token, headers: fieldsOf(sign()) }) },
    form: { ...digest('sha-256=1'), facts: { found: 'sha-256 is not a byte sequence of 32 octets' } },
    algorithm: digest('md5=:AAAA:'),
    mismatch: [
      { ...send(posted, { sent: '{"a":2}' }), facts: { alg: 'sha-256' } },
      { ...send({ headers: { 'content-digest': `sha-256=:${'A'.repeat(43)}=:` } }), facts: { alg: 'sha-256' } },
    ],
    body_read: { send: () => readFirst() },
  }
  for (const [detail, row] of Object.entries(rows) as [keyof typeof rows, Provocation | readonly Provocation[]][])
    for (const one of [row].flat() as readonly Provocation[]) await provoke(t, server, 'digest_invalid', detail, one)
})

/** A listener before the app reads from the body. */
function readFirst() {
  server.app.server.prependOnceListener('request', (request: IncomingMessage) => void request.setEncoding('utf8'))
  return alice.call('/signed', sign(posted))
}

t.test('digest_invalid upgrade: the body of a request for an upgrade is not read as one', async t => {
  const jwks = (await alice.get('/oauth/jwks')).body
  const verifier = createVerifier({ issuer, audience: issuer, jwks, proof: 'signed-request' })
  const api = mutualTls({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })(() => {})
  const details: string[] = []
  api.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    verifier.verify(request).then(
      () => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      error => {
        details.push(error.detail)
        verifier.sendRefusal(socket, error)
      },
    )
  })
  const port = await listen(t, api)
  const upgrade = async (call: Call) => {
    const by = await connect(t, port)
    const { body = '', headers = {} } = signCall(by, pki.alice, '/signed', { token, ...call }, {}, server.clock)
    const fields = {
      ...{ host: `localhost:${port}`, authorization: `Bearer ${token}`, connection: 'upgrade', upgrade: 'websocket' },
      ...headers,
      ...(body !== '' && { 'content-length': String(body.length) }),
    }
    const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    by.socket.write(`${call.method ?? 'GET'} /signed HTTP/1.1\r\n${head.join('')}\r\n${body}`)
    const [octets] = (await once(by.socket, 'data')) as [Buffer]
    return octets.toString()
  }
  t.match(await upgrade({}), /^HTTP\/1.1 101 /, 'control')
  t.match(await upgrade(posted), /^HTTP\/1.1 401 /)
  t.same(details, ['upgrade'])
})

async function listen(t: Test, api: Server): Promise<number> {
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  t.teardown(() => api.close())
  return (api.address() as AddressInfo).port
}

async function connect(t: Test, port: number): Promise<TestConnection> {
  const { certificate: cert, key } = pki.alice
  const by = await openConnection(
    { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, cert, key },
    'alice',
  )
  t.teardown(() => by.close())
  return by
}
