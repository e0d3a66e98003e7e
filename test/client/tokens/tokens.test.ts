// How the client requests and renews tokens, and which tokens it rejects.
import t, { type Test } from 'tap'
import { connect, createClient } from '../../../src/client/client.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { startFakeUpstream, type TokenReply } from '../../helpers/client/fake-upstream.ts'
import { startServerBehindRelay } from '../../helpers/client/relay.ts'
import { letPass } from '../../helpers/monotonic.ts'
import { forgePaseto } from '../../helpers/tokens/forge-paseto.ts'
import { until } from '../../helpers/until.ts'

const answer = (_request: unknown, response: { end(text: string): unknown }) => void response.end('answer')

async function start(t: Test, options: object = {}) {
  const upstream = await startFakeUpstream(t, answer, { http2: true })
  const client = createClient({ ...upstream.target, ...options })
  t.teardown(() => client.close())
  const tokens = () => upstream.seen.map(({ token }) => token)
  return { upstream, client, tokens }
}

t.test('renews a token in the background when a fifth of its lifetime is left', async t => {
  const { upstream, client, tokens } = await start(t)
  await Promise.all(Array.from({ length: 20 }, () => client.fetch('/')))
  t.equal(upstream.tokenRequests, 1, 'twenty requests wait for one token')
  const [old] = tokens()
  letPass(t, 200)
  await client.fetch('/')
  t.equal(upstream.tokenRequests, 1, 'the token is not renewed earlier')
  letPass(t, 50)
  let release = () => {}
  upstream.issue = () => ({ when: new Promise<void>(resolve => (release = resolve)) })
  await client.fetch('/')
  await until(() => upstream.tokenRequests === 2)
  await Promise.all(Array.from({ length: 20 }, () => client.fetch('/')))
  t.ok(
    tokens().every(token => token === old),
    'the old token is used until the new one arrives',
  )
  t.equal(upstream.tokenRequests, 2, 'the new token is requested once')
  release()
  await until(() => client.state().counts.tokens === 2)
  await client.fetch('/')
  t.not(tokens().at(-1), old)
  t.equal(client.state().counts.repeated, 0)
})

t.test('requests wait for a new token after the old one has expired', async t => {
  const { upstream, client, tokens } = await start(t)
  await client.fetch('/')
  letPass(t, 301)
  await Promise.all(Array.from({ length: 20 }, () => client.fetch('/')))
  t.equal(upstream.tokenRequests, 2)
  t.equal(new Set(tokens()).size, 2)
  t.equal(client.state().counts.repeated, 0, 'no request was sent with the old token')
})

t.test('uses a valid token while the token endpoint fails', async t => {
  const failures: TokenReply[] = [{ status: 503 }, { status: 500 }, { status: 400 }, { status: 302 }, { hangUp: true }]
  for (const failure of failures) {
    const { upstream, client, tokens } = await start(t, { tokenBinding: 'certificate' })
    upstream.issue = (_form, count) => (count === 1 ? { binding: 'certificate' } : failure)
    await client.fetch('/')
    letPass(t, 250)
    for (let count = 0; count < 5; count++) t.equal((await client.fetch('/')).status, 200)
    await until(() => client.state().lastProblem !== null)
    t.equal((await client.fetch('/')).status, 200)
    t.equal(new Set(tokens()).size, 1)
    upstream.issue = () => ({ binding: 'certificate' })
    letPass(t, 10)
    for (let count = 0; client.state().counts.tokens < 2 && count < 1000; count++) await client.fetch('/')
    await client.fetch('/')
    t.equal(new Set(tokens()).size, 2, 'the client requests a new token when the endpoint works again')
    await client.close()
  }
})

t.test('reports why no token could be requested', async t => {
  const table: [TokenReply, object, number][] = [
    [
      { status: 400, body: { error: 'invalid_scope', reason: 'scope_denied' } },
      { code: 'token_refused', reason: 'scope_denied', status: 400 },
      1,
    ],
    [
      { status: 401, body: { error: 'invalid_client' } },
      { code: 'token_refused', reason: 'invalid_client', status: 401 },
      1,
    ],
    [
      { status: 400, body: { error: 'invalid_scope', error_description: 'Ask for notes:read only.' } },
      {
        ...{ code: 'token_refused', description: 'Ask for notes:read only.' },
        message: /: 400 invalid_scope \(Ask for notes:read only\.\); check the registration/,
      },
      1,
    ],
    [
      { status: 400, body: { error: 'x', reason: 'scope_denied', error_description: 'Not admin.' } },
      { code: 'token_refused', description: 'Not admin.', message: /: scope_denied\. Not admin\.$/ },
      1,
    ],
    ...[7, 'two\r\nlines', 'é', 'x'.repeat(501), ''].map((error_description): [TokenReply, object, number] => [
      { status: 400, body: { error: 'invalid_scope', error_description } },
      { code: 'token_refused', description: undefined, message: /\(?400 invalid_scope;/ },
      1,
    ]),
    [{ status: 400, body: { error: 'evil\r\nname: value' } }, { code: 'token_refused', reason: undefined }, 1],
    [
      { status: 503, body: { error: 'temporarily_unavailable' } },
      { code: 'token_unavailable', reason: 'temporarily_unavailable' },
      3,
    ],
    [{ status: 429 }, { code: 'token_unavailable', status: 429 }, 3],
    [{ status: 503, headers: { 'retry-after': '3600' } }, { code: 'token_unavailable', retryAfter: 3_600_000 }, 1],
    [{ status: 302, headers: { location: '/elsewhere' } }, { code: 'token_unusable' }, 1],
    [{ body: { access_token: 'two words' } }, { code: 'token_unusable' }, 1],
    [{ body: { access_token: 'x\r\nname: value' } }, { code: 'token_unusable' }, 1],
    [{ body: { access_token: 'x'.repeat(8193) } }, { code: 'token_unusable' }, 1],
    [{ body: { access_token: 17 } }, { code: 'token_unusable' }, 1],
    [{ body: { token_type: 'DPoP' } }, { code: 'token_unusable' }, 1],
    [{ body: { expires_in: 0 } }, { code: 'token_unusable' }, 1],
    [{ body: { expires_in: 'soon' } }, { code: 'token_unusable' }, 1],
    [{ body: { padding: 'x'.repeat(300_000) } }, { code: 'token_unusable' }, 1],
  ]
  await Promise.all(
    table.map(async ([reply, expected, count]) => {
      const { upstream, client } = await start(t, { timeout: 5 })
      upstream.issue = () => reply
      await t.rejects(client.fetch('/'), { name: 'ClientError', ...expected })
      t.match([upstream.tokenRequests >= count, upstream.seen], [true, []], JSON.stringify(expected))
      t.match(client.state().lastProblem, { code: (expected as { code: string }).code })
    }),
  )
})

t.test('the timeout limits the total wait of a request', async t => {
  const { upstream, client } = await start(t, { timeout: 1 })
  const { random } = Math
  t.teardown(() => {
    Math.random = random
  })
  Math.random = () => 0.05 // keeps each backoff short
  upstream.issue = () => ({ hangUp: true })
  const asked = client.fetch('/', { signal: AbortSignal.timeout(10_000) })
  await t.rejects(asked, { code: 'timed_out', cause: { code: 'token_unavailable' } })
  t.ok(upstream.tokenRequests > 1 && upstream.tokenRequests < 60, `${upstream.tokenRequests} token requests`)
})

t.test('never uses a token that names another connection or certificate', async t => {
  const thumbprint = 'A'.repeat(43)
  const mine = { 'x5t#S256': '' }
  const table: [TokenReply, string, string?][] = [
    [{ cnf: { 'x5t#S256': thumbprint } }, 'certificate_mismatch'],
    [{ cnf: { 'x5t#S256': thumbprint, 'tls-exporter#S256': thumbprint } }, 'certificate_mismatch'],
    [{ cnf: { ...mine, 'tls-exporter#S256': thumbprint } }, 'connection_mismatch'],
    [{ cnf: { ...mine, 'tls-unique#S256': thumbprint } }, 'connection_mismatch'],
    [{ cnf: { ...mine, jkt: thumbprint } }, 'confirmation_malformed'],
    [{ cnf: {} }, 'confirmation_malformed'],
    [{ cnf: mine }, 'certificate', 'token_binding says connection, the token says certificate'],
    [{ binding: 'certificate', body: { token_binding: 'proof' } }, 'certificate'],
  ]
  for (const [reply, reason, message] of table) {
    const { upstream, client } = await start(t)
    await client.fetch('/')
    const { certificate } = client.state().connections[0] as { certificate: string }
    const cnf = reply.cnf && { ...reply.cnf, ...(reply.cnf['x5t#S256'] === '' && { 'x5t#S256': certificate }) }
    upstream.issue = () => ({ ...reply, ...(cnf && { cnf }) })
    letPass(t, 400)
    await t.rejects(client.fetch('/'), { code: 'token_bound_elsewhere', reason }, message ?? reason)
    t.equal(upstream.seen.length, 1, 'the request was not sent')
    await client.close()
  }
  const weaker = await start(t, { tokenBinding: 'connection' })
  weaker.upstream.issue = () => ({ binding: 'certificate' })
  await t.rejects(
    weaker.client.fetch('/'),
    { code: 'token_bound_elsewhere', reason: 'certificate' },
    'a lower level than requested',
  )
  const plain = await start(t)
  const claims = Buffer.from('{"iat":1}').toString('base64url')
  plain.upstream.issue = () => ({ body: { access_token: `e30.${claims}.c2ln` } })
  await t.rejects(plain.client.fetch('/'), { code: 'token_bound_elsewhere' }, 'an unbound token')
})

t.test('takes the level of an opaque token from the issuer', async t => {
  for (const binding of ['connection', 'certificate', 'proof'] as const) {
    const { upstream, client, tokens } = await start(t)
    upstream.issue = () => ({ body: { access_token: 'tlsbound_at_opaque', token_binding: binding } })
    await client.fetch('/')
    t.match([tokens(), client.state().binding], [['tlsbound_at_opaque'], binding])
    t.match(upstream.seen[0]?.headers['session-binding-proof'], binding === 'proof' ? /^ey/ : undefined)
  }
  const foreign = await start(t)
  foreign.upstream.issue = () => ({ body: { access_token: 'opaque', token_binding: undefined } })
  await foreign.client.fetch('/')
  t.equal(foreign.client.state().binding, 'certificate', 'RFC 8705')
})

t.test('rejects a PASETO that is bound to another certificate', async t => {
  const jwk = await generateTokenKey('v4.public')
  const { upstream, client } = await start(t)
  const cnf = { 'x5t#S256': 'A'.repeat(43) }
  const claims = { iat: 1_800_000_000, exp: 1_800_000_300, cnf }
  upstream.issue = () => ({ body: { access_token: forgePaseto({ jwk, claims }), token_binding: 'certificate' } })
  await t.rejects(client.fetch('/'), { code: 'token_bound_elsewhere', reason: 'certificate_mismatch' })
})

t.test('fetches the metadata of the issuer once, and verifies its issuer', async t => {
  const { upstream, client } = await start(t)
  await client.fetch('/')
  letPass(t, 400)
  upstream.metadata = { issuer: 'https://evil.example' }
  await client.fetch('/')
  t.equal(upstream.tokenRequests, 2)

  const table: [Record<string, unknown>, object][] = [
    [{ issuer: `${upstream.origin}/` }, { code: 'issuer_unusable' }],
    [{ issuer: undefined }, { code: 'issuer_unusable' }],
    [{ token_endpoint: undefined }, { code: 'issuer_unusable' }],
    [{ token_endpoint: '/oauth/token' }, { code: 'issuer_unusable' }],
    [{ token_endpoint: upstream.origin.replace('https', 'http') }, { code: 'issuer_unusable' }],
    [{ token_endpoint: upstream.origin.replace('//', '//user:password@') }, { code: 'issuer_unusable' }],
    [{ mtls_endpoint_aliases: { token_endpoint: 17 } }, { code: 'issuer_unusable' }],
  ]
  for (const [metadata, expected] of table) {
    const other = createClient({ ...upstream.target, timeout: 1 })
    upstream.metadata = { issuer: upstream.origin, ...metadata }
    await t.rejects(other.fetch('/'), { name: 'ClientError', ...expected }, JSON.stringify(metadata))
    upstream.metadata = {}
    letPass(t, 10)
    t.equal((await other.fetch('/')).status, 200, 'invalid metadata is fetched again')
    await other.close()
  }
  const { origin } = upstream
  upstream.metadata = {
    token_endpoint: 'https://nowhere.invalid/',
    mtls_endpoint_aliases: { token_endpoint: `${origin}/oauth/token` },
  }
  const aliased = createClient(upstream.target)
  t.equal((await aliased.fetch('/')).status, 200, 'the mTLS alias takes precedence (RFC 8705 §5, N-29)')
  await aliased.close()
})

t.test('an issuer with its own origin can issue certificate-bound tokens, but no connection-bound ones', async t => {
  const issuer = await startFakeUpstream(t, answer)
  const upstream = await startFakeUpstream(t, answer, { pki: issuer.pki })
  for (const binding of ['certificate', 'proof'] as const) {
    issuer.issue = () => ({ binding })
    const client = createClient({ ...upstream.target, issuer: issuer.origin, resource: upstream.origin })
    await Promise.all(Array.from({ length: 8 }, () => client.fetch('/')))
    t.match(client.state(), { binding, counts: { tokens: 1 } })
    t.equal(new Set(upstream.seen.splice(0).map(({ token }) => token)).size, 1)
    await client.close()
  }
  issuer.issue = () => ({ binding: 'connection' })
  const client = createClient({ ...upstream.target, issuer: issuer.origin })
  t.teardown(() => client.close())
  await t.rejects(client.fetch('/'), { code: 'token_bound_elsewhere' })
  t.same([upstream.seen, upstream.tokenRequests], [[], 0])
})

t.test('sends the configured token parameters', async t => {
  const forms: URLSearchParams[] = []
  const { upstream, client } = await start(t, {
    clientId: 'other',
    scope: 'a b',
    resource: 'urn:r',
    tokenBinding: 'connection',
  })
  upstream.issue = form => {
    forms.push(form)
    return {}
  }
  await client.fetch('/')
  const plain = createClient(upstream.target)
  t.teardown(() => plain.close())
  await plain.fetch('/')
  t.same(
    forms.map(form => Object.fromEntries(form)),
    [
      {
        grant_type: 'client_credentials',
        client_id: 'other',
        scope: 'a b',
        resource: 'urn:r',
        token_binding: 'connection',
      },
      { grant_type: 'client_credentials', client_id: 'alice' },
    ],
  )
})

t.test('works with a clock that is wrong by an hour on either side', async t => {
  const pki = makeDemoPki()
  const since = new Date(Date.now() - 86_400_000)
  const order = { issuer: pki.ca, extendedKeyUsage: ['clientAuth'], notBefore: since } as const
  const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map(name =>
    issueCertificate({ ...order, subject: [['CN', name]] }),
  )
  const registration = (name: string, access_token_format: string) => ({
    client_id: name,
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: `CN=${name}`,
    scope: 'notes:read',
    grant_types: ['client_credentials'],
    token_bindings: ['connection', 'certificate', 'proof'],
    access_token_format,
  })
  const clients = [registration('alice', 'jwt'), registration('bob', 'opaque'), registration('mallory', 'paseto')]
  const signingKeys = [await generateTokenKey('ES256'), await generateTokenKey('v4.public')]
  const { server, origin } = await startServerBehindRelay(t, { clients, pki, signingKeys })
  const now = server.clock
  for (const hours of [-1, 1])
    for (const tokenBinding of ['connection', 'certificate', 'proof'] as const)
      for (const who of tokenBinding === 'proof' ? [alice, mallory] : [alice, bob, mallory]) {
        server.clock = now + hours * 3600
        const identity = { certificate: `${who?.certificate}`, key: `${who?.key}`, ca: pki.ca.certificate }
        const client = createClient({ origin, identity, tokenBinding })
        const statuses = [(await client.fetch('/api/whoami')).status, (await client.fetch('/api/whoami')).status]
        t.match([statuses, client.state().counts], [[200, 200], { tokens: 1, repeated: 0 }], `${hours} ${tokenBinding}`)
        await client.close()
      }
})

t.test('a proof for an opaque token uses the clock of the issuer’s Date header', async t => {
  const clock = () => Math.floor(Date.now() / 1000) - 3600
  const upstream = await startFakeUpstream(t, answer, { clock })
  upstream.issue = () => ({ body: { access_token: 'opaque', token_binding: 'proof' } })
  const client = createClient(upstream.target)
  t.teardown(() => client.close())
  await client.fetch('/')
  const [, claims] = String(upstream.seen[0]?.headers['session-binding-proof']).split('.')
  const { iat } = JSON.parse(Buffer.from(String(claims), 'base64url').toString())
  t.ok(Math.abs(iat - clock()) <= 2)
})

t.test('requests a new token when a server considers the old one expired', async t => {
  const { server, origin, identity } = await startServerBehindRelay(t)
  for (const tokenBinding of ['connection', 'proof'] as const) {
    const client = createClient({ origin, identity, tokenBinding })
    t.teardown(() => client.close())
    await client.fetch('/api/whoami')
    server.clock += 400
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.fetch('/api/whoami')))
    t.ok(answers.every(({ status }) => status === 200))
    t.match(client.state().counts, { tokens: 2 }, 'one new token for ten refusals')
  }
})

t.test('over TLS 1.2 both ends compute the same two bindings', async t => {
  const upstream = await startFakeUpstream(t, answer, { maxVersion: 'TLSv1.2' })
  const client = createClient({ ...upstream.target, minVersion: 'TLSv1.2' })
  t.teardown(() => client.close())
  t.equal((await client.fetch('/')).status, 200)
  const [connection] = client.state().connections
  t.match(connection, { tls: 'TLSv1.2', bindings: { 'tls-exporter': /^.{43}$/, 'tls-unique': /^.{43}$/ } })
  const strict = createClient({ ...upstream.target, timeout: 0.2 })
  t.teardown(() => strict.close())
  await t.rejects(strict.fetch('/'), { cause: { code: 'cannot_connect' } }, 'TLS 1.2 is disabled by default')
})

t.test('requests tokens that are valid only on their channel', async t => {
  const { origin, identity } = await startServerBehindRelay(t)
  for (const tokenBinding of ['connection', 'proof'] as const) {
    const [one, other] = [
      await connect(origin, identity, { tokenBinding }),
      await connect(origin, identity, { http2: false, tokenBinding }),
    ]
    t.teardown(() => Promise.all([one.close(), other.close()]))
    const token = await one.token()
    t.match(token, { binding: tokenBinding, scope: 'notes:read notes:write', expires: Date })
    const whoami = (channel: typeof one) =>
      channel.dispatcher.request({ path: '/api/whoami', method: 'GET', headers: token.headers })
    t.equal((await whoami(one)).statusCode, 200)
    const stolen = await whoami(other)
    const reason = tokenBinding === 'connection' ? 'connection_mismatch' : 'proof_invalid'
    t.match([stolen.statusCode, await stolen.body.json()], [401, { reason }])
  }
})
