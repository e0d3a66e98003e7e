// requireToken and mutualTls as users apply them: in their own Fastify application, with an issuer on another server.
// N-24, N-33 – N-36, N-46; I1, I7; CL13.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerFactory } from 'fastify'
import t from 'tap'
import { mutualTls, type RequireTokenOptions, requireToken } from 'tlsbound'
import { readCertificate } from '../../src/core/presenter.ts'
import type { RefusalListener } from '../../src/plugins/refuse.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { createTokenVerifier } from '../../src/verify/token-verifier.ts'

const audience = 'https://rs.example'
const issuer = await startTestServer({ env: { TLSBOUND_ISSUER: 'https://as.example', TLSBOUND_AUDIENCE: audience } })
t.teardown(() => issuer.close())
const { pki } = issuer
const alice = await issuer.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const reading = await alice.token({ token_binding: 'certificate', scope: 'notes:read' })
const bound = await alice.token({ token_binding: 'connection' })
const jwks = (await alice.get('/oauth/jwks')).body as { keys: Record<string, unknown>[] }

const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
const trusting: RequireTokenOptions = { issuer: 'https://as.example', audience, jwks }
/** The properties of a refusal that a failing test can print: a whole request takes minutes. */
const refusals: object[] = []
const onRefusal: RefusalListener = (request, { reason, token }, status) =>
  refusals.push({ path: request.url, reason, token, status })

/** The README's example: a resource server in fewer than ten lines. */
const tls = mutualTls(material)
const app = Fastify({ serverFactory: tls })
await app.register(requireToken, { ...trusting, onRefusal })
app.get('/', request => ({ hello: request.token.claims.sub, level: request.token.binding }))
app.get('/write', { config: { requireToken: { scope: 'notes:write' } } }, () => 'written')
app.get('/both', { config: { requireToken: { scope: 'notes:read notes:write' } } }, () => 'both')
app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
await app.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => app.close())

const portOf = (server: FastifyInstance) => (server.server.address() as AddressInfo).port
const connect = async (port: number, who: 'alice' | 'bob' | 'stranger' | null = 'alice', protocol = 'http/1.1') => {
  const identity = who && { cert: pki[who].certificate, key: pki[who].key }
  const tls = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, ALPNProtocols: [protocol] }
  const connection = await openConnection({ ...tls, ...identity }, 'alice')
  t.teardown(() => connection.close())
  return connection
}
const refused = (reason: string, error = 'invalid_token', status = 401) => ({
  status,
  body: { error, reason },
})

const noToken = { status: 401, body: { error: undefined, reason: 'no_token' } }

t.test('accepts a certificate-bound token over HTTP/1.1 and HTTP/2, with its own certificate only (N-24)', async t => {
  for (const protocol of ['http/1.1', 'h2']) {
    const here = await connect(portOf(app), 'alice', protocol)
    t.equal(here.socket.alpnProtocol, protocol)
    t.match(await here.get('/', token), { status: 200, body: { hello: 'alice', level: 'certificate' } })
    const { certificate } = tls.counts['TLSv1.3'].accepted
    t.match(await here.get('/', token), { status: 200 }, 'a second time')
    t.equal(tls.counts['TLSv1.3'].accepted.certificate, certificate + 1, 'each check is counted')
    t.match(await (await connect(portOf(app), 'bob', protocol)).get('/', token), refused('certificate_mismatch'))
    t.match(await (await connect(portOf(app), null, protocol)).get('/', token), refused('no_certificate'))
    t.match(await (await connect(portOf(app), 'stranger', protocol)).get('/', token), refused('certificate_untrusted'))
  }
})

t.test('rejects a connection-bound token outside of its connection to the issuer', async t => {
  t.match(await alice.get('/api/whoami', bound), { status: 200 }, 'control')
  for (const protocol of ['http/1.1', 'h2'])
    t.match(await (await connect(portOf(app), 'alice', protocol)).get('/', bound), refused('connection_mismatch'))
})

t.test('enforces a route’s scope and level, and protects unmatched paths (HT25)', async t => {
  for (const protocol of ['http/1.1', 'h2']) {
    const here = await connect(portOf(app), 'alice', protocol)
    for (const path of ['/write', '/both']) {
      t.match(await here.get(path, token), { status: 200 }, 'control')
      t.match(await here.get(path, reading), refused('scope_missing', 'insufficient_scope', 403), path)
    }
    t.match(await here.get('/', reading), { status: 200 }, 'control: a route without demands')
    t.match(await here.get('/strict', token), refused('binding_too_weak'))
    for (const path of ['/nothing', '/write/', '/strict/x']) {
      t.match(await here.get(path), noToken, path)
      t.match(await here.get(path, token), { status: 404 }, `${path} with a token`)
    }
    t.match(await here.call('/', { method: 'POST', body: '' }), noToken)
  }
})

t.test('protects unmatched paths below a prefix if the scope answers them itself', async t => {
  const own = Fastify({ serverFactory: mutualTls(material) })
  for (const [prefix, isAnswered] of [
    ['/answered', true],
    ['/left', false],
  ] as const)
    await own.register(
      async scope => {
        await scope.register(requireToken, trusting)
        scope.get('/', () => 'here')
        if (isAnswered) scope.setNotFoundHandler((_request, reply) => void reply.code(404).send('none'))
      },
      { prefix },
    )
  await own.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => own.close())
  const here = await connect(portOf(own))
  for (const prefix of ['/answered', '/left']) {
    t.match(await here.get(prefix), noToken)
    t.match(await here.get(prefix, token), { status: 200 }, 'control')
    t.match(await here.get(`${prefix}/x`, token), { status: 404 })
  }
  t.match(await here.get('/answered/x'), noToken)
  t.match(await here.get('/left/x'), { status: 404 }, 'the app answers it')
})

t.test('calls onRefusal once for every refusal, with its status', async t => {
  const here = await connect(portOf(app))
  refusals.length = 0
  await here.get('/', token)
  t.same(refusals, [], 'control')
  await here.get('/')
  await here.get('/write', reading)
  t.match(refusals, [
    { path: '/', reason: 'no_token', status: 401 },
    {
      path: '/write',
      reason: 'scope_missing',
      token: { client_id: 'alice', token_binding: 'certificate' },
      status: 403,
    },
  ])
  t.equal(refusals.length, 2)
  const second = await here.get('/?access_token=x', token)
  t.match(second, refused('malformed_request', 'invalid_request', 400))
  t.match(second.headers['www-authenticate'], /^Bearer error="invalid_request"/)
  t.match(refusals[2], { reason: 'malformed_request', status: 400 })
})

t.test('rejects tokens of another issuer, audience or key (N-34)', async t => {
  const otherKeys = (await startOther()).keys
  for (const [options, reason] of [
    [{}, undefined],
    [{ issuer: 'https://other.example' }, 'wrong_issuer'],
    [{ audience: 'https://other.example' }, 'wrong_audience'],
    [{ jwks: { keys: otherKeys } }, 'bad_signature'],
    [
      {
        jwks: { keys: otherKeys.map(key => ({ ...key, kid: jwks.keys.map(own => (own as { kid: string }).kid)[0] })) },
      },
      'bad_signature',
    ],
  ] as const) {
    const other = Fastify({ serverFactory: mutualTls(material) })
    await other.register(requireToken, { ...trusting, ...options })
    other.get('/', () => 'hello')
    await other.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => other.close())
    const answer = await (await connect(portOf(other))).get('/', token)
    t.match(answer, reason === undefined ? { status: 200 } : refused(reason), reason ?? 'control')
  }
})

const startOther = async () => {
  const other = await startTestServer({ pki })
  t.teardown(() => other.close())
  const { body } = await (await other.connect('alice')).get('/oauth/jwks')
  return body as { keys: object[] }
}

t.test('applies the general demand to routes without one, and keeps several issuers separate', async t => {
  const own = Fastify({ serverFactory: mutualTls(material) })
  await own.register(async scope => {
    await scope.register(requireToken, {
      ...trusting,
      scope: 'notes:write',
      resourceMetadata: 'https://rs.example/about',
    })
    scope.get('/general', () => 'general')
    await scope.register(async inner => {
      await inner.register(requireToken, { ...trusting, scope: 'notes:read' })
      inner.get('/inner', () => 'inner')
    })
    scope.get('/own', { config: { requireToken: { scope: 'notes:read' } } }, () => 'own')
  })
  await own.register(async scope => {
    await scope.register(requireToken, { ...trusting, audience: 'https://other.example' })
    scope.get('/other', () => 'other')
  })
  own.get('/open', () => 'open')
  await own.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => own.close())
  const here = await connect(portOf(own))
  t.match(await here.get('/general', token), { status: 200 })
  const weak = await here.get('/general', reading)
  t.match(weak, refused('scope_missing', 'insufficient_scope', 403))
  t.match(weak.headers, {
    'www-authenticate':
      /^Bearer error="insufficient_scope", error_description="[^"\\]+", scope="notes:write", resource_metadata="https:\/\/rs\.example\/about"$/,
  })
  t.match(await here.get('/own', reading), { status: 200 })
  t.match(await here.get('/inner', token), { status: 200 })
  t.match(await here.get('/inner', reading), refused('scope_missing', 'insufficient_scope', 403), 'both demands apply')
  t.match(
    await here.get('/other', token),
    refused('wrong_audience'),
    'a token verified for one audience is not valid for another (ASVS 10.3.1)',
  )
  t.match(await here.get('/open'), { status: 200 }, 'control: outside both scopes')
})

t.test('protects routes that were registered before the plugin, with demands of their own', async t => {
  const own = Fastify({ serverFactory: mutualTls(material) })
  const demand = { requireToken: { scope: 'notes:write' } }
  own.get('/plain', () => 'plain')
  own.get('/write', { config: demand }, () => 'write')
  own.get('/misspelt', { config: { requiretoken: demand.requireToken } as object }, () => 'open')
  own.get('/invalid', { config: { requireToken: { binding: 'none' } as object } }, () => 'open')
  await own.register(async scope => {
    scope.get('/nested', { config: demand }, () => 'nested')
  })
  await own.register(requireToken, trusting)
  await own.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => own.close())
  const here = await connect(portOf(own))
  t.match(await here.get('/plain', reading), { status: 200 }, 'control')
  t.match(await here.get('/plain'), noToken)
  for (const path of ['/write', '/nested']) {
    t.match(await here.get(path, token), { status: 200 }, 'control')
    t.match(await here.get(path), noToken)
    t.match(await here.get(path, reading), refused('scope_missing', 'insufficient_scope', 403))
  }
  // The plugin learns of these only with a request.
  for (const [path, message] of Object.entries({
    '/misspelt': /requiretoken/,
    '/invalid': /config\.requireToken/,
  }))
    for (const time of ['first', 'second'])
      t.match(await here.get(path, token), { status: 500, body: { message } }, `${path}, ${time} request`)
})

t.test('answers an unhandled error with 500, thrown at once or later', async t => {
  const own = Fastify({ serverFactory: mutualTls(material) })
  const fault = new RangeError('unhandled error')
  const readers = { '/at-once': () => raise(fault), '/later': () => Promise.reject(fault) }
  for (const [path, readToken] of Object.entries(readers))
    await own.register(async scope => {
      const verifier = createTokenVerifier({
        issuer: 'https://as.example',
        audience,
        readToken,
        now: () => issuer.clock,
      })
      await scope.register(requireToken, { verifier })
      scope.get(path, () => 'here')
    })
  await own.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => own.close())
  const here = await connect(portOf(own))
  for (const path of Object.keys(readers)) {
    const { status, headers } = await here.get(path, token)
    t.same([status, headers['www-authenticate']], [500, undefined], path)
  }
})

function raise(fault: Error): never {
  throw fault
}

t.test('sends a challenge with a parameter even without resourceMetadata (RFC 6750 §3, N-46)', async t => {
  const { headers } = await (await connect(portOf(app))).get('/')
  t.match(headers['www-authenticate'], /^Bearer [a-z_]+="[^"\\]*"$/)
  t.notMatch(headers['www-authenticate'], /error/)
})

t.test('works on the user’s own TLS server, and rejects inject(), which has no connection (N-62)', async t => {
  const safe = { ...material, requestCert: true, minVersion: 'TLSv1.3' as const }
  const plain = Fastify({ serverFactory: (handler => createServer(safe, handler)) as FastifyServerFactory })
  await plain.register(requireToken, trusting)
  plain.get('/', () => 'hello')
  await plain.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => plain.close())
  const there = await connect(portOf(plain))
  t.match(await there.get('/', token), { status: 200 })
  t.match(await (await connect(portOf(plain), 'bob')).get('/', token), refused('certificate_mismatch'))
  t.match(await there.get('/'), noToken)

  const headers = { authorization: `Bearer ${token}` }
  for (const server of [app, plain]) {
    const injected = await server.inject({ url: '/', headers })
    t.match({ status: injected.statusCode, body: injected.json() }, refused('no_certificate'))
  }
})

t.test('rejects the registration for an invalid option', async t => {
  const register = async (options: object) => {
    const other = Fastify({ serverFactory: mutualTls(material) })
    await other.register(requireToken, options as RequireTokenOptions)
    await other.ready()
    await other.close()
  }
  await t.resolves(register(trusting), 'control')
  const [key] = jwks.keys as [Record<string, unknown>]
  for (const [name, options] of Object.entries({
    'no issuer': { issuer: undefined },
    'an empty audience': { audience: '' },
    'no keys, and an issuer that has no metadata': { issuer: 'as.example', jwks: undefined },
    'keys that are no list': { jwks: key },
    'an empty list of keys': { jwks: { keys: [] } },
    'keys over plain HTTP': { jwks: { uri: 'http://localhost/oauth/jwks' } },
    'keys at no address': { jwks: { uri: 'https://' } },
    'a symmetric key': { jwks: { keys: [{ kty: 'oct', k: 'AAAA', alg: 'HS256', kid: 'x' }] } },
    'a key for encryption': { jwks: { keys: [{ ...key, use: 'enc' }] } },
    'a point off the curve': { jwks: { keys: [{ ...key, x: key.y }] } },
    'a level that does not exist': { binding: 'none' },
    'a scope with two spaces': { scope: 'a  b' },
    'a scope that is a list': { scope: ['a'] },
    'a proof of another kind': { proof: 'once' },
  }))
    await t.rejects(register({ ...trusting, ...options }), Error, name)

  for (const demand of [{ binding: 'none' }, { scope: 'a  b' }, { scope: 1 }, { proof: true }]) {
    const other = Fastify({ serverFactory: mutualTls(material) })
    await other.register(requireToken, trusting)
    t.throws(() => other.get('/', { config: { requireToken: demand as object } }, () => ''), TypeError)
    await other.close()
  }
})

t.test('rejects invalid TLS material before listening', t => {
  t.doesNotThrow(() => mutualTls(material), 'control')
  for (const wrong of [{ ca: '' }, { ca: 'x' }, { ca: pki.ca.key }, { crl: '' }, { crl: pki.ca.certificate }])
    t.throws(() => mutualTls({ ...material, ...wrong }), { message: /./ }, JSON.stringify(wrong).slice(0, 30))
  for (const wrong of [{ cert: '' }, { key: pki.alice.key }, { key: 'x' }])
    t.throws(() => mutualTls({ ...material, ...wrong })(() => {}), { message: /./ }, JSON.stringify(wrong).slice(0, 30))
  t.end()
})

t.test('a listener that rejects in onRefusal is logged, and does not end the process', async t => {
  const lines: string[] = []
  const own = Fastify({
    serverFactory: mutualTls(material) as FastifyServerFactory,
    logger: { level: 'error', stream: { write: line => void lines.push(line) } },
  })
  const rejecting: unknown = () => Promise.reject(new RangeError('a fault of the app'))
  await own.register(requireToken, { ...trusting, onRefusal: rejecting as RefusalListener })
  own.get('/', () => 'notes')
  await own.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => own.close())
  const here = await connect(portOf(own as unknown as FastifyInstance))
  t.match(await here.get('/'), { status: 401, body: { reason: 'no_token' } })
  t.match(await here.get('/', token), { status: 200 }, 'control')
  t.match(lines.join(), /a fault of the app.*onRefusal rejected/)
})

t.test('accepts level certificate behind a proxy that ends TLS, and says so to the route', async t => {
  const { thumbprint } = readCertificate(pki.bob.x509)
  const behind = Fastify({
    serverFactory: mutualTls({ ...material, clientCertFrom: [{ form: 'client-cert', 'x5t#S256': thumbprint }] }),
  })
  await behind.register(requireToken, { ...trusting })
  behind.get('/', ({ token: { claims, attested } }) => ({ sub: claims.sub, attested: attested ?? null }))
  await behind.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => behind.close())
  const field = (who: 'alice' | 'mallory') => ({ 'client-cert': `:${pki[who].x509.raw.toString('base64')}:` })
  for (const protocol of ['http/1.1', 'h2']) {
    const proxy = await connect(portOf(behind), 'bob', protocol)
    const own = await connect(portOf(behind), 'alice', protocol)
    t.match(await proxy.call('/', { token, headers: field('alice') }), { status: 200, body: { attested: 'proxy' } })
    t.match(await own.call('/', { token, headers: field('mallory') }), { status: 200, body: { attested: null } })
    t.match(await proxy.call('/', { token, headers: field('mallory') }), refused('certificate_mismatch'))
    t.match(await proxy.call('/', { token: bound, headers: field('alice') }), refused('connection_mismatch'))
    t.match(await proxy.call('/', { token }), refused('no_certificate'))
  }
})
