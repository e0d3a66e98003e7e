// Attacks on signed requests with everything but the key of the client, over real TLS: replay, another target, another certificate,
// malformed and repeated fields. Each is refused with a reason, and never with a 5xx. OA, JW, CB and HT for signatures.
import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { Call } from '../../../src/lab/connection.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { type Signing, signCall } from '../../helpers/client/sign-call.ts'
import { fieldOf, through, thumbprintOf } from '../../helpers/server/proxies.ts'
import { exchange } from '../../helpers/server/raw-http.ts'
import { register } from '../../helpers/tokens/grants.ts'

const edge = issueCertificate({ subject: [['CN', 'edge']], extendedKeyUsage: ['clientAuth'] })
const server = await startTestServer({
  tls: { clientCertFrom: [{ form: 'client-cert', 'x5t#S256': thumbprintOf(edge) }] },
  clients: [register('alice', { token_bindings: ['connection', 'certificate', 'proof'] }), register('bob')],
  routes: app => {
    const config = { requireToken: { proof: 'signed-request' } } as const
    app.get('/signed', { config }, () => 'read')
    app.get('/other', { config }, () => 'read')
    for (const method of ['POST', 'PUT'] as const)
      app.route({ method, url: '/signed', config, handler: ({ body }) => body })
  },
})
t.teardown(() => server.close())
const { pki } = server
const alice = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const posted = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
const sign = (by: TestConnection, call: Call = {}, signing: Signing = {}, path = '/signed') =>
  signCall(by, pki.alice, path, { token, ...call }, signing, server.clock)
const open = (protocol: string, who: 'alice' | 'bob' = 'alice') => server.connect(who, { ALPNProtocols: [protocol] })
const refused = (reason: string) => ({
  status: 401,
  headers: { 'www-authenticate': /^Bearer error=/ },
  body: { reason },
})
const invalid = refused('signature_invalid')

for (const protocol of ['http/1.1', 'h2']) {
  t.test(`over ${protocol}, a signature is valid once, on its connection and for its request (N-68)`, async t => {
    const here = await open(protocol)
    const there = await open(protocol)
    const call = sign(here, posted)
    t.match(await there.call('/signed', call), invalid, 'on another connection first')
    t.match(await here.call('/signed', call), { status: 200 }, 'control')
    t.match(await here.call('/signed', call), invalid, 'a second time')
    t.match(await there.call('/signed', call), invalid)
    const both = sign(here, {})
    const together = await Promise.all([here.call('/signed', both), here.call('/signed', both)])
    t.same(together.map(({ status }) => status).sort(), [200, 401], 'at the same time')
    t.match(await here.call('/other', sign(here)), invalid, 'another path')
    t.match(await here.call('/signed?a=1', sign(here)), invalid, 'another query')
    t.match(await here.call('/signed?', sign(here)), invalid, 'an empty query')
    t.match(await here.call('/%73igned', sign(here)), invalid, 'another spelling of the path')
    t.match(await here.call('/signed', { ...sign(here, posted), method: 'PUT' }), invalid, 'another method')
    const other = await alice.token({ token_binding: 'certificate', scope: 'notes:read' })
    t.match(await here.call('/signed', { ...sign(here), token: other }), invalid, 'another token')
    t.match(await here.call('/signed?a=1', sign(here, {}, {}, '/signed?a=1')), { status: 200 }, 'control')
  })

  t.test(`over ${protocol}, a thief with the token and a signature has nothing`, async t => {
    const here = await open(protocol)
    const bob = await open(protocol, 'bob')
    const call = sign(here)
    t.match(await bob.call('/signed', call), refused('certificate_mismatch'))
    const own = await (await server.connect('bob')).token({ token_binding: 'certificate' })
    t.match(await bob.call('/signed', { ...call, token: own }), invalid, 'with a token of his own')
    const mine = signCall(bob, pki.bob, '/signed', { token: own }, {}, server.clock)
    t.match(await bob.call('/signed', mine), { status: 200 }, 'control')
    const stolen = { ...mine, headers: { ...mine.headers, ...call.headers } }
    t.match(await bob.call('/signed', stolen), invalid)
  })

  t.test(`over ${protocol}, repeated and malformed fields are refused`, async t => {
    const names = ['signature-input', 'signature', 'tls-channel-binding', 'content-digest'] as const
    const values: readonly ((value: string) => string | string[])[] = [
      value => [value, value],
      value => [value, 'x'],
      value => `${value},`,
      value => value.slice(0, -1),
      value => `${value}${'x'.repeat(6000)}`,
      () => '',
      () => 'x'.repeat(3000),
      () => '('.repeat(3000),
      () => '"'.repeat(3001),
      () => `sig=${'("a" '.repeat(500)}`,
      () => Array.from({ length: 900 }, (_, index) => `l${index}=()`).join(),
      () => `sig=()${';a'.repeat(2000)}`,
    ]
    for (const name of names)
      for (const [index, change] of values.entries()) {
        const here = await open(protocol)
        const call = sign(here, posted)
        const fields = call.headers as Record<string, string>
        const answer = await here.call('/signed', {
          ...call,
          headers: { ...fields, [name]: change(fields[name] as string) },
        })
        t.match(
          answer,
          { status: 401, body: { reason: /^(?:signature_missing|signature_invalid|digest_invalid)$/ } },
          `${name} ${index}`,
        )
        here.close()
      }
  })

  t.test(`over ${protocol}, arbitrary fields are refused with 401, and the server serves on`, async t => {
    const here = await open(protocol)
    const value = fc.oneof(
      fc.stringMatching(/^[\x21-\x7e]{0,60}$/),
      fc
        .array(
          fc.constantFrom(
            'sig',
            '=',
            '(',
            ')',
            '"@method"',
            ';',
            'tag="tlsbound-request"',
            ':AAAA:',
            ',',
            '?1',
            '@1',
            '1.5',
          ),
          { maxLength: 20 },
        )
        .map(parts => parts.join('')),
    )
    const name = fc.constantFrom('signature-input', 'signature', 'tls-channel-binding')
    await fc.assert(
      fc.asyncProperty(name, value, async (field, text) => {
        const call = sign(here)
        const { status } = await here.call('/signed', { ...call, headers: { ...call.headers, [field]: text } })
        return status === 401
      }),
      { numRuns: 200 },
    )
    t.match(await here.call('/signed', sign(here)), { status: 200 }, 'control')
  })
}

t.test('digests: each of the two algorithms that is present must match, and no other counts (N-70)', async t => {
  const digest = (algorithm: string, text = posted.body) =>
    `${algorithm === 'sha256' ? 'sha-256' : algorithm === 'sha512' ? 'sha-512' : algorithm}=:${createHash(algorithm).update(text).digest('base64')}:`
  const rows: readonly (readonly [value: string | string[], status: number])[] = [
    [digest('sha256'), 200],
    [digest('sha512'), 200],
    [`${digest('sha256')}, ${digest('sha512')}`, 200],
    [[digest('sha256'), digest('sha512')], 200],
    [`${digest('md5')}, ${digest('sha512')}`, 200],
    [`${digest('sha256')}, ${digest('sha512', 'x')}`, 401],
    [`${digest('sha256', 'x')}, ${digest('sha512')}`, 401],
    [[digest('sha256', 'x'), digest('sha256')], 401],
    [[digest('sha256'), digest('sha256')], 401],
    [digest('md5'), 401],
    [digest('sha1'), 401],
    [digest('sha384').replace('sha384', 'sha-256'), 401],
  ]
  for (const [value, status] of rows) {
    const call = sign(alice, { ...posted, headers: { ...posted.headers, 'content-digest': value } })
    t.equal((await alice.call('/signed', call)).status, status, `${value}`)
  }
})

t.test('a digest is over the octets that are sent, also of a compressed body', async t => {
  const { gzipSync } = await import('node:zlib')
  const here = await server.connect('alice')
  const content = gzipSync(posted.body)
  const octets = (text: string | Buffer) => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`
  for (const [value, status] of [
    [octets(posted.body), 401],
    [octets(content), 400], // the digest matches, and the app knows no compressed bodies
  ] as const) {
    const headers = { ...posted.headers, 'content-encoding': 'gzip', 'content-digest': value }
    const signed = sign(here, { ...posted, headers }, { also: ['content-encoding'] })
    const fields = { host: `localhost:${here.socket.remotePort}`, authorization: `Bearer ${token}`, ...signed.headers }
    const head = Object.entries({ ...fields, 'content-length': String(content.length) }).map(
      ([name, text]) => `${name}: ${text}\r\n`,
    )
    const { answers } = await exchange(
      here,
      `POST /signed HTTP/1.1\r\n${head.join('')}\r\n${content.toString('latin1')}`,
      { until: 1 },
    )
    t.match(answers[0], { status, body: { reason: status === 401 ? 'digest_invalid' : 'malformed_request' } })
  }
})

t.test('a digest in a trailer does not count', async t => {
  const here = await server.connect('alice')
  const { headers } = sign(here, {}, { method: 'POST' })
  const digest = `content-digest: sha-256=:${createHash('sha256').update('{}').digest('base64')}:\r\n`
  const fields = {
    host: `localhost:${here.socket.remotePort}`,
    authorization: `Bearer ${token}`,
    ...headers,
    'transfer-encoding': 'chunked',
    trailer: 'content-digest',
  }
  const head = Object.entries(fields).map(([name, text]) => `${name}: ${text}\r\n`)
  const { answers } = await exchange(
    here,
    `POST /signed HTTP/1.1\r\n${head.join('')}\r\n2\r\n{}\r\n0\r\n${digest}\r\n`,
    { until: 1 },
  )
  t.match(answers, [refused('digest_invalid')])
})

t.test('behind a proxy that ends TLS, no signature is accepted: the connection is not that of the client', async t => {
  const proxy = await server.connect(edge)
  const behind = through(proxy, { 'client-cert': fieldOf['client-cert'](pki.alice) })
  const call = sign(proxy)
  t.match(await behind.call('/signed', call), refused('connection_mismatch'))
  t.match(await behind.get('/api/whoami', token), { status: 200 }, 'control: where no signature is required')
})

t.test('a token at level proof needs its proof besides the signature', async t => {
  const bound = await alice.token({ token_binding: 'proof' })
  t.match(await alice.call('/signed', sign(alice, { token: bound })), refused('proof_missing'))
  t.match(await alice.call('/signed', sign(alice, { token: bound, proof: alice.prove(bound) })), { status: 200 })
})

t.test('bodies with another content cost the server no memory that stays', async t => {
  const here = await server.connect('alice')
  const body = JSON.stringify(randomBytes(3000).toString('base64'))
  for (let index = 0; index < 20; index++) {
    t.match(
      await here.call('/signed', sign(here, { ...posted, body }, { sent: body.replace(/.$/, "'") })),
      refused('digest_invalid'),
    )
    t.match(await here.call('/signed', sign(here, { ...posted, body })), { status: 200 })
  }
})
