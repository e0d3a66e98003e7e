// /authz: what a proxy may ask and what it is answered. test/interop/tls-proxies.test.ts asks with a real one.
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { parseCertificateProxies } from '../../src/core/certificate-proxy.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { fieldOf, issueProxy, through, thumbprintOf } from '../helpers/server/proxies.ts'
import { register } from '../helpers/tokens/grants.ts'

const pki = makeDemoPki()
const edge = issueProxy('edge', pki.ca)
const entry = { form: 'client-cert', 'x5t#S256': thumbprintOf(edge), authz: true }
const only = issueProxy('forwards only', pki.ca)
const server = await startTestServer({
  pki,
  tls: { clientCertFrom: [entry, { form: 'client-cert', 'x5t#S256': thumbprintOf(only) }] },
  clients: ['alice', 'bob'].map(id => register(id, { token_bindings: ['certificate', 'connection'] })),
})
t.teardown(() => server.close())
const proxy = await server.connect(edge)
const behind = (who: typeof edge, connection = proxy) =>
  through(connection, { 'client-cert': fieldOf['client-cert'](who) })
const ofAlice = behind(pki.alice)
const token = await ofAlice.token({ client_id: 'alice' })
const keys = createLocalJWKSet((await ofAlice.call('/oauth/jwks')).body)
const issuer = 'https://localhost:8443'
const typ = 'tlsbound-assertion+jwt'

t.test('answers 204 with the identity, to any method, below the path too', async t => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    for (const path of ['/authz', '/authz/', '/authz/notes/1?x=1', '/authz/%2e%2e/a//b'])
      t.match(await ofAlice.call(path, { method, token }), { status: 204, text: '' }, `${method} ${path}`)
  const { headers } = await ofAlice.call('/authz', { token })
  t.match(headers, { 'cache-control': 'no-store' })
  t.notOk('x-forwarded-user' in headers, 'plain fields by option only')
  const { payload } = await jwtVerify(String(headers['tlsbound-assertion']), keys, { issuer, audience: issuer, typ })
  t.match(payload, {
    sub: 'alice',
    client_id: 'alice',
    attested: 'proxy',
    cnf: { 'x5t#S256': thumbprintOf(pki.alice) },
  })
  const other = await ofAlice.call('/authz?audience=http://127.0.0.1:9000&identity_fields=true', { token })
  t.match(other.headers, {
    'x-forwarded-user': 'alice',
    'x-auth-request-user': 'alice',
    'tlsbound-client-id': 'alice',
    'tlsbound-scope': 'notes:read notes:write',
    'tlsbound-token-binding': 'certificate',
    'tlsbound-attested': 'proxy',
  })
  const audience = 'http://127.0.0.1:9000'
  await jwtVerify(String(other.headers['tlsbound-assertion']), keys, { issuer, audience, typ })
  const withBody = { method: 'POST', token, body: '{', headers: { 'content-type': 'application/json' } }
  t.match(await ofAlice.call('/authz', withBody), { status: 204 }, 'a body is not read')
})

t.test('answers 401 and 403 as every resource does', async t => {
  t.match(await ofAlice.call('/authz'), {
    status: 401,
    headers: { 'www-authenticate': `Bearer resource_metadata="${issuer}/.well-known/oauth-protected-resource"` },
  })
  const narrow = await ofAlice.token({ client_id: 'alice', scope: 'notes:write' })
  const refused = await ofAlice.call('/authz?scope=notes:read', { token: narrow })
  t.match(refused, { status: 403, headers: { 'www-authenticate': /insufficient_scope/ } })
  t.match(await ofAlice.call('/authz?scope=notes:read', { token }), { status: 204 })
  for (const path of ['/authz', '/%61uthz', '/%61%75th%7A'])
    t.match(
      await ofAlice.call(`${path}?scope=notes:read`, { token: narrow }),
      { status: 403 },
      `${path}: the demand counts however the path is encoded`,
    )
  t.match(
    await ofAlice.call('/authz/?scope=admin', { token }),
    { status: 204 },
    'below the path, the query is the client’s',
  )
  for (const [who, reason] of [
    [pki.bob, 'certificate_mismatch'],
    [pki.stranger, 'certificate_untrusted'],
  ] as const)
    t.match(await behind(who).call('/authz', { token }), { status: 401, body: { reason } })
  t.match(await proxy.get('/authz', token), { status: 401, body: { reason: 'no_certificate' } })
  t.match(await ofAlice.call('/authz', { token: `${token}x` }), { status: 401 })
  t.match(server.events.at(-1), { event: 'token.refused', attested: 'proxy', path: '/authz' })
})

t.test('answers only a known proxy that may ask', async t => {
  for (const who of ['alice', 'mallory', null] as const) {
    const connection = await server.connect(who)
    const answer = await behind(pki.alice, connection).call('/authz', { token })
    t.match(answer, { status: 403, body: { reason: 'malformed_request' } })
    t.notOk('tlsbound-assertion' in answer.headers)
    t.match(server.events.at(-1), { detail: 'not_a_proxy', facts: { ignored_header: 'client-cert' } })
  }
  const forwards = behind(pki.alice, await server.connect(only))
  t.match(await forwards.get('/api/whoami', token), { status: 200 }, 'control')
  for (const path of ['/authz', '/authz/notes', '/%61uthz?audience=https://other.example']) {
    const answer = await forwards.call(path, { token })
    t.match(answer, { status: 403, body: { reason: 'malformed_request' } }, 'its client asks, not the proxy')
    t.notOk('tlsbound-assertion' in answer.headers)
    t.match(server.events.at(-1), { detail: 'not_a_proxy', 'x5t#S256': thumbprintOf(pki.alice) })
  }
  const without = await startTestServer({ pki, routes: app => void app.get('/authz', () => 'own') })
  t.teardown(() => without.close())
  const alice = await without.connect('alice')
  t.match(await alice.get('/authz', await alice.token()), { text: 'own' }, 'without proxies, the path is free')
})

t.test('refuses a demand that it does not understand', async t => {
  for (const query of [
    'scopes=a',
    'scope=a&scope=b',
    'scope=a++b',
    'scope=',
    'scope',
    'scope=&audience=a',
    'scope=%22',
    'identity_fields=yes',
    'audience=',
    'x',
  ])
    t.match(await ofAlice.call(`/authz?${query}`, { token }), { status: 400 }, query)
  t.match(await ofAlice.call('/authz?scope=notes:read+notes:write', { token }), { status: 204 })
})

t.test('rejects a list of proxies with a mistake, and names each', async t => {
  const problemsOf = (list: unknown) => {
    const problems: string[] = []
    parseCertificateProxies(list, problems)
    return problems.join('\n')
  }
  t.equal(
    problemsOf([entry, { form: 'nginx', header: 'ssl-client-cert', tls_client_auth_san_dns: 'edge.internal' }]),
    '',
  )
  t.equal(problemsOf([]), '')
  for (const [list, expected] of [
    [{}, /JSON array/],
    [[null], /proxy number 1: must be a JSON object/],
    [[{ ...entry, form: 'apache' }], /form must be one of client-cert, nginx/],
    [[{ ...entry, form: 'constructor' }], /form must be one of/],
    [[{ ...entry, from: 'x' }], /unknown member "from"; did you mean form\?/],
    [[{ ...entry, authz: 'yes' }], /authz must be true or false/],
    [[{ ...entry, header: 'Authorization' }], /header must be/],
    [[{ ...entry, header: 'a b' }], /header must be/],
    [[{ ...entry, header: 'x_y' }], /header must be/],
    [[{ form: 'nginx' }], /exactly one of x5t#S256/],
    [[{ ...entry, tls_client_auth_subject_dn: 'CN=a' }], /exactly one of x5t#S256/],
    [[{ ...entry, 'x5t#S256': 'AA:BB' }], /43 characters/],
    [[{ ...entry, 'x5t#S256': [] }], /43 characters/],
    [[{ form: 'nginx', tls_client_auth_san_dns: '*.internal' }], /tls_client_auth_san_dns is not a DNS name/],
    [[entry, entry], /two proxies have the same/],
  ] as const)
    t.match(problemsOf(list), expected)
})
