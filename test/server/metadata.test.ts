// The two well-known documents, the public keys, and GET /binding. No token is needed.
// RFC 8414 §2, §3; RFC 9728 §2, §3; RFC 7517; N-51, N-52, OA25, OA26, JW34.
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { startTestServer, type TestServer, type TestServerOptions } from '../../src/testing/server.ts'
import { exchangeOnce, requestText } from '../helpers/server/raw-http.ts'

const authorizationServer = '/.well-known/oauth-authorization-server'
const protectedResource = '/.well-known/oauth-protected-resource'

const start = async (test: { teardown(end: () => Promise<void>): void }, options: TestServerOptions = {}) => {
  const server = await startTestServer(options)
  test.teardown(() => server.close())
  return server
}
const named = (issuer: string, audience = issuer) => ({ env: { TLSBOUND_ISSUER: issuer, TLSBOUND_AUDIENCE: audience } })
const read = async (server: TestServer, path: string) => (await server.connect(null)).get(path)
const bindings = {
  tls_client_certificate_bound_access_tokens: true,
  tls_session_bound_access_tokens: true, // N-61
  token_bindings_supported: ['certificate', 'proof', 'connection'],
  binding_proof_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'],
}
const endpoint = (server: TestServer, address: string) => read(server, new URL(address).pathname)

t.test(
  'serves the documents without a certificate, and describes exactly this server (N-27, N-51, N-52, OA25)',
  async t => {
    const server = await start(t)
    const issuer = 'https://localhost:8443'
    const as = await read(server, authorizationServer)
    t.match(as, { status: 200, headers: { 'content-type': /^application\/json(;|$)/ } })
    t.match(as.body, {
      issuer,
      authorization_endpoint: `${issuer}/oauth/authorize`,
      response_types_supported: ['none'],
      token_endpoint: `${issuer}/oauth/token`,
      jwks_uri: `${issuer}/oauth/jwks`,
      scopes_supported: ['notes:read', 'notes:write'],
      grant_types_supported: ['client_credentials'],
      token_endpoint_auth_methods_supported: ['tls_client_auth'],
      ...bindings,
    })
    const rs = await read(server, protectedResource)
    t.match(rs, { status: 200, headers: { 'content-type': /^application\/json(;|$)/ } })
    t.match(rs.body, {
      resource: issuer,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header'],
      ...bindings,
    })
    for (const { body } of [as, rs])
      for (const [name, value] of Object.entries(body as object)) {
        if (Array.isArray(value)) t.ok(value.length > 0, `${name} has elements (RFC 8414 §3.2, RFC 9728 §3.2)`)
        if (/_uri$|_endpoint$/.test(name)) t.match(value, /^https:/, name)
      }
    t.match((await read(server, new URL(as.body.jwks_uri).pathname)).status, 200)
  },
)

t.test('omits an empty list (RFC 8414 §3.2, N-51)', async t => {
  const client = {
    client_id: 'alice',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=alice',
  }
  const server = await start(t, { clients: [client] })
  for (const path of [authorizationServer, protectedResource])
    t.notOk('scopes_supported' in (await read(server, path)).body, path)
})

t.test(
  'inserts the well-known path between host and path of the identifier (RFC 8414 §3.1, RFC 9728 §3.1)',
  async t => {
    for (const [issuer, path] of [
      ['https://as.example', authorizationServer],
      ['https://as.example/', authorizationServer],
      ['https://as.example/tenant', `${authorizationServer}/tenant`],
      ['https://as.example/a/b', `${authorizationServer}/a/b`],
      ['https://as.example/tenant/', `${authorizationServer}/tenant`],
    ] as const) {
      const server = await start(t, named(issuer))
      t.match(await read(server, path), { status: 200, body: { issuer } }, `N-51: ${issuer}`)
    }
    const server = await start(t, named('https://as.example/tenant', 'https://rs.example/api/v1'))
    t.match(await read(server, `${protectedResource}/api/v1`), {
      status: 200,
      body: { resource: 'https://rs.example/api/v1' },
    })
    for (const path of [
      authorizationServer,
      protectedResource,
      `/tenant${authorizationServer}`,
      `${protectedResource}/tenant`,
    ])
      t.match(await read(server, path), { status: 404 }, path)
  },
)

t.test('answers every address in the documents, for every form of issuer', async t => {
  for (const issuer of ['https://as.example', 'https://as.example/', 'https://as.example/tenant']) {
    const server = await start(t, named(issuer))
    const path = new URL(issuer).pathname.replace(/\/$/, '')
    const { authorization_endpoint, token_endpoint, jwks_uri } = (await read(server, `${authorizationServer}${path}`))
      .body
    t.match(await endpoint(server, jwks_uri), { status: 200, body: { keys: [{}] } }, jwks_uri)
    t.match(await endpoint(server, token_endpoint), { status: 405, headers: { allow: 'POST' } }, token_endpoint)
    t.match(await endpoint(server, authorization_endpoint), { status: 400 }, authorization_endpoint)
  }
})

t.test('refuses each request at the authorization endpoint, and never redirects (RFC 6749 §3.1, §4.1.2.1)', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 200 }, 'control: the same client at the token endpoint')
  for (const connection of [alice, await server.connect(null)])
    for (const type of ['code', 'token', 'none', undefined]) {
      const parameters = { client_id: 'alice', redirect_uri: 'https://evil.example/', state: 'x' }
      const query = new URLSearchParams({ ...parameters, ...(type && { response_type: type }) })
      const answer = await connection.get(`/oauth/authorize?${query}`)
      t.match(
        answer,
        { status: 400, body: { error: 'unauthorized_client', reason: 'grant_type_not_allowed' } },
        `${type}`,
      )
      t.match(answer.body.error_description, /token endpoint/)
      t.notOk('location' in answer.headers)
      t.notMatch(answer.text, /evil/)
    }
})

t.test(
  'names the resource’s document in the challenge, and the resource in the document (RFC 9728 §5.1, N-52)',
  async t => {
    for (const audience of ['https://rs.example', 'https://rs.example/api/v1']) {
      const server = await start(t, named('https://as.example', audience))
      const { headers } = await read(server, '/api/whoami')
      const [, address = ''] = /^Bearer resource_metadata="([^"]+)"$/.exec(String(headers['www-authenticate'])) ?? []
      t.equal(new URL(address).origin, new URL(audience).origin)
      t.match(await endpoint(server, address), { status: 200, body: { resource: audience } }, address)
    }
  },
)

t.test('copies no request header into a response (OA26)', async t => {
  const server = await start(t)
  const evil = [
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: http',
    'Forwarded: host=evil.example',
    'X-Original-URL: /evil.example',
    'X-Forwarded-Prefix: /evil.example',
    'Origin: https://evil.example',
    'Referer: https://evil.example/',
  ]
  for (const path of [
    authorizationServer,
    protectedResource,
    '/oauth/jwks',
    '/api/whoami',
    '/binding',
    '/oauth/token',
    '/nothing',
  ]) {
    const plain = await exchangeOnce(server, requestText(`GET ${path}`, []), { until: 1 })
    const loaded = await exchangeOnce(server, requestText(`GET ${path}`, evil), { until: 1 })
    t.equal(loaded.answers[0]?.status, plain.answers[0]?.status, path)
    t.notMatch(loaded.received, /evil/, path)
    const absolute = await exchangeOnce(server, requestText(`GET https://evil.example${path}`, []), { until: 1 })
    t.notMatch(absolute.received, /\/\/evil/, `absolute target for ${path}`)
    const host = requestText(`GET ${path}`, []).replace('localhost', 'evil.example')
    const foreign = await exchangeOnce(server, host, { until: 1 })
    t.match(foreign.answers, [{ status: 421 }], 'another host than the one in the handshake')
    t.notMatch(foreign.received, /\/\/evil/, `Host for ${path}`)
  }
  const unnamed = await server.connect('alice', { servername: '' })
  const answer = await unnamed.call(authorizationServer, { headers: { host: 'evil.example' } })
  t.match(answer, { status: 200, body: { issuer: 'https://localhost:8443' } }, 'without SNI, any Host')
  t.notMatch(answer.text, /evil/)
})

t.test('publishes every signing key with an id and one algorithm each (JW34)', async t => {
  const signingKeys = [
    await generateTokenKey('ES256'),
    await generateTokenKey('EdDSA'),
    await generateTokenKey('RS256'),
  ]
  const server = await start(t, { signingKeys })
  const { status, body } = await read(server, '/oauth/jwks')
  t.equal(status, 200)
  t.same(Object.keys(body), ['keys'])
  const members = { ES256: 'alg,crv,kid,kty,use,x,y', EdDSA: 'alg,crv,kid,kty,use,x', RS256: 'alg,e,kid,kty,n,use' }
  t.same(
    body.keys.map((key: { kid: string; alg: keyof typeof members }) => [
      key.kid,
      Object.keys(key).sort().join(),
      'sig',
    ]),
    signingKeys.map(({ kid, alg }) => [kid, members[alg as keyof typeof members], 'sig']),
  )
  const secrets = signingKeys.flatMap(({ d, p, q }) => [d, p, q]).filter(secret => secret !== undefined)
  t.equal(secrets.length, 5)
  for (const secret of secrets) t.notOk(JSON.stringify(body).includes(secret))
})

t.test('GET /binding: shows what the server sees of this connection, with thumbprints only (N-06)', async t => {
  const server = await start(t, { env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
  const thumbprint = /^[\w-]{43}$/
  for (const protocol of ['http/1.1', 'h2']) {
    const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
    const { status, headers, body } = await alice.get('/binding')
    t.match(headers, { 'cache-control': 'no-store' })
    t.match(
      { status, ...body },
      { status: 200, protocol: 'TLSv1.3', cipher: /^TLS_/, resumed: false, extended_master_secret: true },
    )
    t.match(body.certificate, {
      subject: 'CN=alice',
      'x5t#S256': thumbprint,
      valid_to: server.pki.alice.x509.validToDate.toISOString(),
    })
    t.same(Object.keys(body.bindings), ['tls-exporter'])
    t.match(body.bindings['tls-exporter'], thumbprint)
    t.same((await alice.get('/binding')).body, body, 'the same on the same connection')
    const other = await server.connect('alice', { ALPNProtocols: [protocol] })
    t.not(
      (await other.get('/binding')).body.bindings['tls-exporter'],
      body.bindings['tls-exporter'],
      'another value on another connection',
    )
  }
  const tls12 = await server.connect('bob', { maxVersion: 'TLSv1.2' })
  t.match((await tls12.get('/binding')).body, {
    protocol: 'TLSv1.2',
    extended_master_secret: true,
    bindings: { 'tls-exporter': thumbprint, 'tls-unique': thumbprint },
  })
  // 1 is OpenSSL's SSL_OP_NO_EXTENDED_MASTER_SECRET, which Node does not name.
  const without = await server.connect('bob', { maxVersion: 'TLSv1.2', secureOptions: 1 })
  const { body } = await without.get('/binding')
  t.same({ extended: body.extended_master_secret, bindings: body.bindings }, { extended: false, bindings: {} })
})

t.test('GET /binding: gives the reason if there is no acceptable certificate', async t => {
  const server = await start(t)
  t.match(
    (await (await server.connect('alice')).get('/binding')).body,
    { certificate: { subject: 'CN=alice' } },
    'control',
  )
  t.same((await (await server.connect('stranger')).get('/binding')).body.certificate, {
    reason: 'certificate_untrusted',
  })
  t.match((await (await server.connect(null)).get('/binding')).body, { certificate: null })
  const alice = await server.connect('alice')
  server.clock += 31 * 86_400
  t.same((await alice.get('/binding')).body.certificate, { reason: 'certificate_expired' })
})
