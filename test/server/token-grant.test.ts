// POST /oauth/token from outside: what a client gets, according to its registration and its request.
// RFC 6749 §3.3, §4.4, §5.1; RFC 8705 §3; RFC 8707 §2; RFC 9068 §2.2; N-35, N-40, N-41, OA05, OA06.
import { decodeJwt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'

const registration = (name: string, more: object) => ({
  client_id: name,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${name}`,
  ...more,
})
const server = await startTestServer({
  env: {
    TLSBOUND_ISSUER: 'https://as.example',
    TLSBOUND_AUDIENCE: 'https://rs.example/api',
    TLSBOUND_ACCESS_TOKEN_LIFETIME: '60',
  },
  clients: [
    registration('alice', { scope: 'notes:read notes:write admin', token_bindings: ['certificate', 'connection'] }),
    registration('bob', {}),
  ],
})
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const neverStored = { 'cache-control': 'no-store', pragma: 'no-cache' }
const refused = (error: string, reason: string) => ({ status: 400, headers: neverStored, body: { error, reason } })

t.test('issues a Bearer token with lifetime, scope and binding, and nothing else (N-40, OA05)', async t => {
  for (const protocol of ['http/1.1', 'h2']) {
    const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
    const { status, headers, body } = await connection.requestToken()
    t.equal(status, 200)
    t.match(headers, { ...neverStored, 'content-type': /^application\/json/ })
    const { access_token, ...rest } = body
    t.same(rest, {
      token_type: 'Bearer',
      expires_in: 60,
      scope: 'notes:read notes:write admin',
      token_binding: 'certificate',
    })
    t.match(access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  }
})

t.test('issues claims for client, audience, expiry and a unique id (RFC 9068 §2.2, N-33)', async t => {
  const ids = new Set<unknown>()
  for (let count = 0; count < 50; count++) {
    const token = await alice.token(count % 2 ? { token_binding: 'connection' } : {})
    const claims = decodeJwt(token)
    ids.add(claims.jti)
    t.match(decodeProtectedHeader(token), { typ: 'at+jwt', alg: 'ES256', kid: String })
    const { iat, exp, jti, cnf, ...fixed } = claims
    t.same(fixed, {
      iss: 'https://as.example',
      sub: 'alice',
      aud: 'https://rs.example/api',
      client_id: 'alice',
      scope: 'notes:read notes:write admin',
    })
    t.equal(exp, Number(iat) + 60)
    t.match(jti, /^[\w-]{20,}$/)
    t.same(Object.keys(cnf as object), count % 2 ? ['x5t#S256', 'tls-exporter#S256'] : ['x5t#S256'])
  }
  t.equal(ids.size, 50)
})

t.test('scope: grants and reports a part, and refuses any unregistered scope completely (N-41, OA06)', async t => {
  for (const scope of ['notes:read', 'admin notes:read', 'notes:read notes:write admin']) {
    const { status, body } = await alice.requestToken({ scope })
    t.match(
      { status, scope: body.scope, claim: decodeJwt(body.access_token).scope },
      { status: 200, scope, claim: scope },
    )
  }
  for (const scope of [
    'notes',
    'notes:read delete',
    'NOTES:READ',
    'notes:read  admin',
    ' notes:read',
    'notes:read ',
    ' ',
    'notes:read\tadmin',
    'notes:read,admin',
    'notes:read notes:read',
    'notes:read\u0001',
    'notes:read"',
    '__proto__',
    'a'.repeat(2000),
  ])
    t.match(
      await alice.requestToken({ scope }),
      refused('invalid_scope', 'scope_denied'),
      JSON.stringify(scope).slice(0, 30),
    )
  t.match(
    await bob.requestToken(),
    { status: 200, body: { scope: '', token_binding: 'connection' } },
    'a client without scope gets none',
  )
})

t.test('token_binding: accepts the registered levels, with the first one as the default', async t => {
  for (const token_binding of ['certificate', 'connection'])
    t.match(await alice.requestToken({ token_binding }), { status: 200, body: { token_binding } })
  for (const wish of ['none', 'proof', 'Connection', 'connection certificate', 'tls-exporter', 'tls-unique'])
    t.match(await alice.requestToken({ token_binding: wish }), refused('invalid_request', 'binding_not_allowed'), wish)
  const denied = await bob.requestToken({ token_binding: 'certificate' })
  t.match(denied, refused('invalid_request', 'binding_not_allowed'), 'a weaker level is not registered')
})

t.test('resource: accepts the audience in its exact spelling only (RFC 8707 §2, N-35)', async t => {
  const asking = (resource: string) => alice.requestToken({ resource })
  const { status, body } = await asking('https://rs.example/api')
  t.match({ status, ...decodeJwt(body.access_token) }, { status: 200, aud: 'https://rs.example/api' })
  for (const resource of [
    'https://rs.example/api/',
    'https://RS.example/api',
    'https://rs.example',
    'https://as.example',
    'x',
    'https://rs.example/api#f',
  ])
    t.match(await asking(resource), refused('invalid_target', 'target_unknown'), resource)
})
