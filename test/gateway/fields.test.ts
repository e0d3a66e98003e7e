// The header that an upstream receives: nothing that a client could forge, on any kind of route, and what the gateway states itself. HT13.
import { connect as connectHttp2 } from 'node:http2'
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { type Seen, startGateway, startUpstream } from '../helpers/server/gateway.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { forgePaseto } from '../helpers/tokens/forge-paseto.ts'
import { claimsFor, forgeToken } from '../helpers/tokens/forge-token.ts'
import { register } from '../helpers/tokens/grants.ts'

const marker = 'forged'

/** Fields that some upstream believes if its proxy sends them, each in several spellings. */
const forged = [
  ...[
    'Client-Cert',
    'Client-Cert-Chain',
    'Session-Binding-Proof-X',
    'Forwarded',
    'Tlsbound-Assertion',
    'Tlsbound-Client-Id',
  ],
  ...['X-Forwarded-User', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Client-Cert'],
  ...[
    'X-Forwarded-Email',
    'X-Forwarded-Access-Token',
    'X-Forwarded-Prefix',
    'X-Auth-Request-User',
    'X-Auth-Request-Email',
  ],
  ...[
    'X-Auth-Request-Access-Token',
    'X-SSL-Client-S-DN',
    'X-SSL-Cert',
    'SSL-Client-Cert',
    'X-Client-Cert',
    'X-Real-IP',
  ],
  ...['True-Client-IP', 'Remote-User', 'X-Remote-User', 'X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override'],
  ...['X-Method-Override', 'X-User', 'X-User-Id', 'X-Authenticated-Userid', 'X-WebAuth-User', 'X-Envoy-Internal'],
  ...['X-MS-Client-Principal', 'X-Goog-Authenticated-User-Email', 'X-Amzn-Oidc-Identity', 'X-Token-Subject'],
  // Of single sign-on, clouds and other gateways.
  ...[
    'Remote-Groups',
    'Remote-Email',
    'Remote-Name',
    'X-Authentik-Username',
    'X-Vouch-User',
    'X-Pomerium-Jwt-Assertion',
  ],
  ...[
    'Cf-Access-Authenticated-User-Email',
    'X-Consumer-Username',
    'X-Credential-Identifier',
    'X-Endpoint-API-UserInfo',
  ],
  ...[
    'OIDC-Claim-Sub',
    'Shib-Session-ID',
    'IV-User',
    'SM-User',
    'SMUSER',
    'Tailscale-User-Login',
    'X-MS-Token-AAD-Id-Token',
  ],
  ...['X-Appengine-User-Id', 'X-Proxy-User', 'X-TLS-Client-Cert', 'X-JWT-Assertion', 'X-Id-Token', 'X-Access-Token'],
  ...[
    'WL-Proxy-Client-Cert',
    'Client-IP',
    'Fastly-Client-IP',
    'X-Originating-IP',
    'CF-Connecting-IPv6',
    'SSL-Verified',
  ],
  ...[
    'Proxy',
    'X-Accel-Mapping',
    'X-Sendfile-Type',
    'X-Middleware-Subrequest',
    'X-Script-Name',
    'X-HTTP-Host-Override',
  ],
].filter(name => name !== 'Session-Binding-Proof-X')
const spellings = (name: string) => [
  name,
  name.toUpperCase(),
  name.replaceAll('-', '_'),
  name.replace('-', '_'),
  name.replaceAll('-', '.'),
]

const routes = (upstream: string) => ({
  protected: { path: '/protected', upstream },
  public: { path: '/public', upstream, public: true },
  identified: { path: '/identified', upstream, identity_fields: true, client_cert: true },
  'with Authorization': { path: '/kept', upstream, keep_authorization: true },
  'public with Authorization': { path: '/public-kept', upstream, public: true, keep_authorization: true },
})

for (const protocol of ['http/1.1', 'h2'])
  t.test(`removes what a client could forge on every kind of route, over ${protocol}`, async t => {
    const upstream = await startUpstream(t)
    const kinds = Object.values(routes(upstream.address))
    const server = await startGateway(t, kinds)
    const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
    const token = await alice.token()
    for (const { path } of kinds)
      for (const turn of [0, 1, 2, 3, 4]) {
        const forgery = Object.fromEntries(forged.map(name => [spellings(name)[turn] as string, marker]))
        const headers = { ...forgery, Session_Binding_Proof: marker, 'X-Other': 'control' }
        t.match(await alice.call(path, { token, headers }), { status: 200 }, path)
        const { headers: seen, names } = upstream.seen.at(-1) as Seen
        t.equal(seen['x-other'], 'control')
        t.equal(seen.authorization, path.endsWith('kept') ? `Bearer ${token}` : undefined, path)
        const found = Object.entries(seen).filter(([, value]) => String(value).includes(marker))
        t.same(found, [], `${path}, spelling ${turn}`)
        t.equal(new Set(names.map(name => name.toLowerCase())).size, names.length, 'no field twice')
      }
  })

t.test('states address, host and scheme anew, once for each form', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  await exchange(alice, requestText('GET /a', ['Via: 1.1 other', 'X-Forwarded-For: 1.2.3.4']), { until: 1 })
  t.match(upstream.seen[0]?.headers, {
    host: new URL(upstream.address).host,
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'localhost',
    'x-forwarded-proto': 'https',
    forwarded: 'for=127.0.0.1;host="localhost";proto=https',
    via: '1.1 other, 1.1 tlsbound',
  })
  t.notOk(upstream.seen[0]?.headers['tlsbound-assertion'], 'nothing is asserted on a public route')
})

t.test('removes the fields of the connection, and those that Connection names', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const alice = await server.connect('alice')
  const fields = ['Connection: close, X-Hop , x-forwarded-for', 'X-Hop: 1', 'Keep-Alive: timeout=1', 'TE: trailers']
  const more = [
    'Proxy-Connection: x',
    'Proxy-Authorization: x',
    'Upgrade: h2c',
    'HTTP2-Settings: x',
    'Transfer_Encoding: chunked',
  ]
  const odd = ['Content_Length: 5', 'X-End: 1', 'Content_Type: x', 'Content.Encoding: x']
  await exchange(alice, requestText('GET /a', [...fields, ...more, ...odd]), { until: 'closed' })
  const stated = ['forwarded', 'host', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']
  t.same([...(upstream.seen[0]?.names ?? [])].sort(), ['X-End', 'connection', ...stated])
  t.equal(upstream.seen[0]?.headers.connection, 'keep-alive')
})

t.test('joins the cookies of HTTP/2', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const session = connectHttp2(server.origin, { ca: server.pki.ca.certificate })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/a', cookie: ['a=1', 'b=2'] })
  await new Promise(done => stream.resume().on('end', done))
  t.equal(upstream.seen[0]?.headers.cookie, 'a=1; b=2')
})

t.test('by option, states the identity in plain fields and the certificate of the connection', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [
    { path: '/', upstream: upstream.address, identity_fields: true, client_cert: true },
  ])
  const alice = await server.connect('alice')
  t.match(await alice.get('/a', await alice.token({ scope: 'notes:read' })), { status: 200 })
  t.match(upstream.seen[0]?.headers, {
    'x-forwarded-user': 'alice',
    'x-auth-request-user': 'alice',
    'tlsbound-client-id': 'alice',
    'tlsbound-scope': 'notes:read',
    'tlsbound-token-binding': 'connection',
    'client-cert': `:${server.pki.alice.x509.raw.toString('base64')}:`,
  })
})

t.test('forwards an assertion that is a JWT for a request with a PASETO', async t => {
  const upstream = await startUpstream(t)
  const [jwk, ofPaseto] = [await generateTokenKey('ES256'), await generateTokenKey('v4.public')]
  const routes = [{ path: '/', upstream: upstream.address }]
  const clients = [register('alice', { access_token_format: 'paseto' })]
  const server = await startGateway(t, routes, { signingKeys: [jwk, ofPaseto], clients })
  const connection = await server.connect('alice')
  const token = await connection.token()
  t.match(token, /^v4\.public\./)
  t.match(await connection.get('/x', token), { status: 200 })
  const assertion = String(upstream.seen[0]?.headers['tlsbound-assertion'])
  const [header, claims] = assertion.split('.').map(part => Buffer.from(part, 'base64url').toString())
  t.match(JSON.parse(String(header)), { alg: 'ES256', typ: 'tlsbound-assertion+jwt', kid: jwk.kid })
  t.match(JSON.parse(String(claims)), { sub: 'alice', client_id: 'alice' })
  t.notOk(JSON.stringify(upstream.seen).includes('v4.public.'), 'the token itself is not forwarded')
  t.match(
    await connection.get('/x', forgePaseto({ jwk: ofPaseto, claims: claimsFor(connection, server), implicit: '' })),
    {
      status: 401,
    },
  )
  t.equal(upstream.seen.length, 1)
})

t.test('refuses a subject that is no field value, instead of changing it', async t => {
  const upstream = await startUpstream(t)
  const routes = [
    { path: '/fields', upstream: upstream.address, identity_fields: true },
    { path: '/assertion', upstream: upstream.address },
  ]
  const jwk = await generateTokenKey('ES256')
  const server = await startGateway(t, routes, { signingKeys: [jwk] })
  const connection = await server.connect('alice')
  const token = forgeToken({
    jwk,
    claims: { ...claimsFor(connection, server), sub: 'zo\u00eb\r\nX-Forwarded-User: root' },
  })
  t.match(await connection.get('/assertion', token), { status: 200 }, 'control')
  t.match(await connection.get('/fields', token), { status: 401, body: { reason: 'claims_malformed' } })
  t.equal(upstream.seen.length, 1)
})
