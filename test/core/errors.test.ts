// Every reason for a refusal, provoked over HTTP: its status, error code, description, challenge, and single event. RFC 6749
// §5.2, RFC 6750 §3, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9728 §5.1; N-40, N-46, N-52, I7, OA30. A reason without a row fails
// here.
import { hash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { answers } from '../../scripts/generate/refusals.ts'
import { type Detail, describeForClient, details, type RefusalFacts } from '../../src/core/details.ts'
import { type ErrorCode, OAuthError, type Reason, reasons } from '../../src/core/errors.ts'
import { buildOpaqueToken, hashOpaqueToken } from '../../src/core/opaque-token.ts'
import { parseTrustedIssuers } from '../../src/core/trusted-issuer.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { parseRoutes } from '../../src/gateway/routes.ts'
import { createKeyRing } from '../../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKey } from '../../src/keys/token-keys.ts'
import type { Call } from '../../src/lab/connection.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { demoRegistrations } from '../../src/process/demo.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createOutsideIssuers } from '../../src/server/grants/trusted-issuers.ts'
import { createRemoteReporterKeys } from '../../src/server/incidents/reporter-keys.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { createServer } from '../../src/server/server.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Grant } from '../../src/store/store.ts'
import { type Answer, openConnection, type TestConnection } from '../../src/testing/connection.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'
import { type Signing, signCall } from '../helpers/client/sign-call.ts'
import { claimsFor, forgeToken, headerOf } from '../helpers/tokens/forge-token.ts'

const store = await openSqlite(join(t.testdir(), 'state.db'))
const pki = makeDemoPki()
const jwk = await generateTokenKey('ES256')
const clock = Math.floor(Date.now() / 1000)
const events: object[] = []
const log: string[] = []

// rita may refresh and exchange tokens; dana is disabled.
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const rita = issueCertificate({ subject: [['CN', 'rita']], issuer: pki.ca, extendedKeyUsage: ['clientAuth'] })
const registrations = [
  ...demoRegistrations,
  {
    ...{ ...demoRegistrations[0], client_id: 'rita', tls_client_auth_subject_dn: 'CN=rita' },
    refresh_token_binding: 'certificate',
    grant_types: ['client_credentials', 'refresh_token', exchange],
  },
]
await store.disableClient('dana', JSON.stringify({ ...demoRegistrations[0], client_id: 'dana' }))

/** Returns a refresh token of rita. */
const keepGrant = async (changes: Partial<Grant> = {}): Promise<{ id: string; token: string }> => {
  const [id, token] = [randomUUID(), buildOpaqueToken('rt', randomBytes(32))]
  const certificate = hash('sha256', rita.x509.raw, 'base64url')
  const whose = { id, clientId: 'rita', subject: 'rita', scope: 'notes:read', audience: 'https://localhost:8443' }
  const how = {
    binding: 'certificate',
    rotation: 'rotate',
    certificate,
    created: clock - 60,
    expires: clock + 60,
  } as const
  await store.createGrant({ ...whose, ...how, ...changes }, hashOpaqueToken(token))
  return { id, token }
}
const findSilentKey = createRemoteReporterKeys({ uri: 'https://127.0.0.1:1/keys' }) // no server listens on port 1
const silentIssuer = {
  issuer: 'https://silent.example',
  jwks_uri: 'https://127.0.0.1:1/jwks', // no server listens on port 1
  audience: 'x',
}

/** An upstream that closes each connection, or accepts it and says nothing. */
const startBroken = async (isSilent: boolean): Promise<number> => {
  const broken = createTcpServer(socket => void (isSilent ? socket.resume() : socket.once('data', () => socket.end())))
  broken.listen(0, '127.0.0.1')
  await once(broken, 'listening')
  t.teardown(() => broken.close())
  return (broken.address() as AddressInfo).port
}
const upstreams = [
  { path: '/refused', upstream: 'unix:/nowhere/socket' },
  { path: '/closing', upstream: `http://127.0.0.1:${await startBroken(false)}` },
  { path: '/silent', upstream: `http://127.0.0.1:${await startBroken(true)}`, timeout: 1 },
]
const noFiles = { material: { ca: undefined, cert: undefined, key: undefined } }

const app = await createServer({
  gateway: createGateway(
    parseRoutes(upstreams, [], { levels: ['certificate'] }).map(route => ({ ...route, ...noFiles })),
  ),
  settings: parseSettings({ TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }),
  tls: mutualTls({
    cert: pki.server.certificate,
    key: pki.server.key,
    ca: pki.ca.certificate,
    crl: issueCrl({ issuer: pki.ca, revoked: [pki.bob.x509] }),
    minVersion: 'TLSv1.2',
  }),
  clients: new ClientRegistry(registrations),
  keys: createKeyRing([await importSigningKey(jwk)], clock),
  store,
  outsideIssuers: createOutsideIssuers(
    parseTrustedIssuers([silentIssuer], { ours: 'https://localhost:8443', profiles: {} }, []).map(rules => ({
      rules,
      keys: { uri: silentIssuer.jwks_uri, ca: undefined },
    })),
  ),
  leakKeys: identifier => (identifier === 'silent' ? findSilentKey(identifier) : undefined),
  audit: createAudit(event => void (event.event === 'theft.suspected' || events.push(event))),
  log: pino({ level: 'info' }, { write: line => void log.push(line) }),
  clock: () => clock * 1000,
  routes: routes => {
    routes.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
    routes.get('/signed', { config: { requireToken: { proof: 'signed-request' } } }, () => 'signed')
    routes.post('/signed', { config: { requireToken: { proof: 'signed-request' } } }, () => 'signed')
  },
})
await app.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => app.close())

const connect = async (identity: Identity | null, options: object = {}, id = 'alice'): Promise<TestConnection> => {
  const { port } = app.server.address() as AddressInfo
  const certificate = identity && { cert: identity.certificate, key: identity.key }
  const tls = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, ...certificate, ...options }
  const connection = await openConnection(tls, id)
  t.teardown(() => connection.close())
  return connection
}
const alice = await connect(pki.alice)
const ritas = await connect(rita, {}, 'rita')
const refresh = (refresh_token: string) => ritas.requestToken({ grant_type: 'refresh_token', refresh_token })
const swap = (subject_token: string) =>
  ritas.requestToken({
    ...{ grant_type: exchange, subject_token },
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  })
const report = (identifier: string) =>
  alice.call('/leaks', {
    method: 'POST',
    headers: { 'github-public-key-identifier': identifier, 'github-public-key-signature': 'AAAA' },
    body: '[]',
  })
const token = await alice.token({ token_binding: 'certificate' })
const expired = issueCertificate({
  subject: [['CN', 'alice']],
  issuer: pki.ca,
  extendedKeyUsage: ['clientAuth'],
  notBefore: new Date((clock - 7200) * 1000),
  notAfter: new Date((clock - 3600) * 1000),
})
/** Presents, on its own connection, a token signed by the issuer's key with changed claims. */
const present = (claims: object, header: object = headerOf(jwk)) =>
  alice.get('/api/whoami', forgeToken({ jwk, header, claims: { ...claimsFor(alice, { clock }), ...claims } }))
const ask = (parameters: Record<string, string>) => alice.requestToken(parameters)
const resourceMetadata = 'https://localhost:8443/.well-known/oauth-protected-resource'

/** Closes the real store, which fails from then on. */
const afterClosing = async (meet: () => Promise<Answer>) => {
  await store.close()
  return meet()
}

interface Row {
  /** `token`: the token endpoint, which sends no RFC 6750 challenge. */
  readonly at: 'resource' | 'token'
  readonly error: ErrorCode | undefined
  readonly status: number
  readonly meet: () => Promise<Answer>
}
const atResource = (meet: Row['meet'], error: Row['error'] = 'invalid_token', status = 401): Row => ({
  at: 'resource',
  error,
  status,
  meet,
})
const atToken = (meet: Row['meet'], error: ErrorCode, status = 400): Row => ({ at: 'token', error, status, meet })
const onBoth = (identity: Identity | null): Row[] => [
  atResource(async () => (await connect(identity)).get('/api/whoami', token)),
  atToken(async () => (await connect(identity)).requestToken(), 'invalid_client', 401),
]

const note = {
  method: 'POST',
  token,
  headers: { 'content-type': 'application/json' },
  body: '{"text":"x"}',
}

const signed = (call: Call, signing: Signing = {}) => signCall(alice, pki.alice, '/signed', call, signing, clock)

const rows: Record<Reason, readonly Row[]> = {
  no_token: [{ at: 'resource', error: undefined, status: 401, meet: () => alice.get('/api/whoami') }],
  malformed_request: [
    atResource(
      () => alice.call('/api/whoami', { headers: { authorization: ['Bearer a', 'Bearer b'] } }),
      'invalid_request',
      400,
    ),
    atToken(() => ask({ client_secret: 'x' }), 'invalid_request'),
  ],
  no_certificate: onBoth(null),
  certificate_untrusted: onBoth(pki.stranger),
  certificate_expired: onBoth(expired),
  certificate_revoked: onBoth(pki.bob),
  certificate_mismatch: [atResource(async () => (await connect(pki.mallory)).get('/api/whoami', token))],
  connection_mismatch: [atResource(async () => (await connect(pki.alice)).get('/api/whoami', await alice.token()))],
  binding_unavailable: [
    // 1 is OpenSSL's SSL_OP_NO_EXTENDED_MASTER_SECRET, for which Node has no name.
    atToken(
      async () => (await connect(pki.alice, { maxVersion: 'TLSv1.2', secureOptions: 1 })).requestToken(),
      'invalid_request',
    ),
  ],
  confirmation_malformed: [atResource(() => present({ cnf: {} }))],
  bad_signature: [atResource(() => alice.get('/api/whoami', `${token.slice(0, -4)}AAAA`))],
  wrong_type: [atResource(() => present({}, { ...headerOf(jwk), typ: 'JWT' }))],
  wrong_issuer: [atResource(() => present({ iss: 'https://evil.example' }))],
  wrong_audience: [atResource(() => present({ aud: 'https://evil.example' }))],
  not_yet_valid: [atResource(() => present({ nbf: clock + 60 }))],
  expired: [atResource(() => present({ iat: clock - 60, exp: clock }))],
  claims_malformed: [atResource(() => present({ sub: 1 }))],
  revoked: [
    atResource(async () => {
      const given = await alice.token()
      const { jti } = JSON.parse(Buffer.from(given.split('.')[1] as string, 'base64url').toString())
      await store.revoke({ kind: 'token', value: jti, notBefore: clock, expires: clock + 300 })
      return alice.get('/api/whoami', given)
    }),
  ],
  proof_missing: [
    atResource(
      async () => alice.get('/api/whoami', await alice.token({ token_binding: 'proof' })),
      'use_session_binding',
    ),
  ],
  proof_invalid: [
    atResource(async () => {
      const proven = await alice.token({ token_binding: 'proof' })
      return alice.get('/api/whoami', proven, alice.prove('another token'))
    }, 'invalid_proof'),
  ],
  signature_missing: [atResource(() => alice.get('/signed', token), 'use_signed_request')],
  signature_invalid: [
    atResource(() => alice.call('/signed', signed({ token }, { target: '/other' })), 'invalid_signature'),
  ],
  digest_invalid: [
    atResource(() => alice.call('/signed', signed(note, { sent: '{"text":"y"}' })), 'invalid_signature'),
  ],
  binding_too_weak: [atResource(() => alice.get('/strict', token))],
  scope_missing: [
    atResource(
      async () =>
        alice.call('/api/notes', { method: 'POST', body: '', token: await alice.token({ scope: 'notes:read' }) }),
      'insufficient_scope',
      403,
    ),
  ],
  unknown_client: [atToken(() => ask({ client_id: 'nobody' }), 'invalid_client', 401)],
  client_mismatch: [atToken(async () => (await connect(pki.mallory)).requestToken(), 'invalid_client', 401)],
  client_disabled: [atToken(() => ask({ client_id: 'dana' }), 'invalid_client', 401)],
  grant_type_unsupported: [atToken(() => ask({ grant_type: 'password' }), 'unsupported_grant_type')],
  grant_type_not_allowed: [atToken(() => ask({ grant_type: 'refresh_token' }), 'unauthorized_client')],
  scope_denied: [atToken(() => ask({ scope: 'admin' }), 'invalid_scope')],
  binding_not_allowed: [atToken(() => ask({ token_binding: 'none' }), 'invalid_request')],
  target_unknown: [atToken(() => ask({ resource: 'https://evil.example' }), 'invalid_target')],
  refresh_unknown: [
    atToken(() => refresh('x'), 'invalid_grant'),
    atToken(() => refresh(buildOpaqueToken('rt', randomBytes(32))), 'invalid_grant'),
    atToken(async () => refresh((await keepGrant({ clientId: 'bob' })).token), 'invalid_grant'),
  ],
  refresh_expired: [atToken(async () => refresh((await keepGrant({ expires: clock })).token), 'invalid_grant')],
  refresh_reused: [
    atToken(async () => {
      const { token: once } = await keepGrant()
      const next = await refresh(once)
      t.match(await refresh(next.body.refresh_token), { status: 200 })
      return refresh(once)
    }, 'invalid_grant'),
  ],
  refresh_revoked: [
    atToken(async () => {
      const grant = await keepGrant()
      await store.revoke({ kind: 'grant', value: grant.id, notBefore: clock, expires: clock + 60 })
      return refresh(grant.token)
    }, 'invalid_grant'),
  ],
  refresh_certificate_mismatch: [
    atToken(async () => refresh((await keepGrant({ certificate: 'another' })).token), 'invalid_grant'),
  ],
  subject_token_invalid: [
    atToken(() => swap('x'), 'invalid_request'),
    atToken(() => swap(forgeToken({ jwk, claims: { iss: 'https://evil.example' } })), 'invalid_request'),
  ],
  issuer_unavailable: [
    atToken(
      () => swap(forgeToken({ jwk, claims: { iss: silentIssuer.issuer, aud: 'x' } })),
      'temporarily_unavailable',
      503,
    ),
  ],
  report_signature_invalid: [atToken(() => report('nobody'), 'invalid_client', 401)],
  reporter_unavailable: [atToken(() => report('silent'), 'temporarily_unavailable', 503)],
  upstream_unavailable: [atResource(() => alice.get('/refused', token), 'temporarily_unavailable', 503)],
  upstream_failed: [atResource(() => alice.get('/closing', token), 'temporarily_unavailable', 502)],
  upstream_timeout: [atResource(() => alice.get('/silent', token), 'temporarily_unavailable', 504)],
  store_unavailable: [
    atResource(() => afterClosing(() => alice.get('/api/notes', token)), 'temporarily_unavailable', 503),
    atResource(() => alice.call('/api/notes', note), 'temporarily_unavailable', 503),
    atToken(() => refresh(buildOpaqueToken('rt', randomBytes(32))), 'temporarily_unavailable', 503),
  ],
}

/** Events of requests that succeed before the refusal. */
const good = new Set(['token.issued', 'refresh.rotated'])

t.test('accepts the same token, client and store when nothing is wrong (control)', async t => {
  t.match(await alice.get('/api/whoami', token), { status: 200 })
  t.match(await present({}), { status: 200 })
  t.match(await alice.get('/strict', await alice.token()), { status: 200 })
  t.match(await alice.call('/signed', signed({ token })), { status: 200 })
  t.match(await alice.call('/signed', signed(note)), { status: 200 })
  t.match(await alice.get('/api/notes', token), { status: 200 })
  t.match(await alice.call('/api/notes', note), { status: 201 })
  t.match(await refresh((await keepGrant()).token), { status: 200 })
  t.match(await ritas.requestToken(), { status: 200, body: { refresh_token: String } })
  t.match(await swap(await ritas.token()), { status: 200 })
  t.same(
    events.filter(event => !good.has((event as { event: string }).event)),
    [],
  )
})

t.test('matches docs/reference/refusals.md in the status and error code of every reason', async t => {
  for (const [reason, cases] of Object.entries(rows))
    for (const { at, error, status } of cases) {
      const { atToken, ...documented } = answers[reason as Reason]
      t.same(
        { status, error },
        at === 'token' && atToken ? { status, error: atToken } : documented,
        `${reason} at ${at}`,
      )
    }
})

t.test('has for every reason a row and a description without quotes and backslashes (N-40, N-46)', t => {
  t.same(Object.keys(rows).sort(), Object.keys(reasons).sort())
  for (const [reason, sentence] of Object.entries(reasons)) {
    t.match(reason, /^[a-z]+(_[a-z]+)*$/)
    t.match(sentence, /^[\x20\x21\x23-\x5b\x5d-\x7e]{10,200}\.$/, reason)
  }
  t.equal(new Set(Object.values(reasons)).size, Object.keys(reasons).length)
  t.end()
})

for (const [reason, cases] of Object.entries(rows) as [Reason, readonly Row[]][])
  t.test(`responds with ${reason} as the specifications require (N-14, N-40, N-46, N-52)`, async t => {
    for (const { at, error, status, meet } of cases) {
      const before = events.length
      const answer = await meet()
      const seen = events.slice(before).filter(event => !good.has((event as { event: string }).event))
      const { headers } = answer
      const { detail, facts = {} } = seen.at(-1) as { detail: Detail; facts?: RefusalFacts }
      t.ok(Object.hasOwn(details[reason], detail), `${detail} is a detail of ${reason}`)
      const description = describeForClient(reason, detail, facts) ?? reasons[reason]

      t.equal(answer.status, status)
      t.same(answer.body, { ...(error && { error }), error_description: description, reason })
      t.match(headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' })
      t.equal(headers['retry-after'] !== undefined, status === 503, 'Retry-After')
      t.match(headers['retry-after'] ?? '1', /^[1-9]\d?$/)

      const challenge = headers['www-authenticate']
      const parameters = [
        ...(error === undefined ? [] : [`error="${error}"`, `error_description="${description}"`]),
        ...(reason === 'scope_missing' ? ['scope="notes:write"'] : []),
        `resource_metadata="${resourceMetadata}"`,
      ]
      if (at === 'resource') t.equal(challenge, status >= 500 ? undefined : `Bearer ${parameters.join(', ')}`)
      else t.equal(challenge !== undefined, status === 401, 'a 401 has a challenge (RFC 9110 §15.5.2), a 400 has none')

      const event = error === 'invalid_client' ? 'client.refused' : 'token.refused'
      const alarm = reason === 'refresh_reused' ? [{ event: 'refresh.reused', outcome: 'refused' }] : []
      const refused = { event, outcome: 'refused', reason, status, peer: '127.0.0.1', request_id: String }
      t.match(seen, [...alarm, refused])
      t.equal(seen.length, alarm.length + 1, 'exactly one event, or two for a reuse')
    }
  })

t.test('serves requests that do not need the store when it fails, and writes the error to the log only', async t => {
  t.match(await alice.get('/api/notes', token), { status: 503, body: { reason: 'store_unavailable' } })
  t.match(await alice.get('/api/whoami', token), { status: 200 })
  t.match(await alice.requestToken({ token_binding: 'certificate' }), { status: 200 })
  const told = log.map(line => JSON.parse(line)).filter(({ msg }) => msg === 'store_unavailable')
  t.equal(told.length, 4)
  for (const line of told) t.match(line, { level: 50, err: { message: String, stack: String }, request_id: String })
})

t.test('describes the reason of an OAuthError in its message, without the token', t => {
  const error = new OAuthError('invalid_token', 'expired', 'ended')
  t.match(error, {
    name: 'OAuthError',
    code: 'invalid_token',
    reason: 'expired',
    message: reasons.expired,
    token: undefined,
  })
  t.ok(error instanceof Error)
  t.end()
})
