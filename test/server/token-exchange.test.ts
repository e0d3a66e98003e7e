// grant_type token-exchange (RFC 8693): accepted and issued tokens, their subject and actor, and the list of trusted
// issuers.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { readTrustedIssuersFile } from '../../src/process/files.ts'
import { startTestServer, type TestConnection } from '../../src/testing/server.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { refusal } from '../helpers/server/refusals.ts'
import {
  backend,
  claimsOf,
  exchange,
  exchangeClients,
  exchangeGrant,
  give,
  idp,
  makeIssuer,
  outsideAudience,
  startKeyServer,
  tokenType,
  trust,
} from '../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
const keyFile = { 'keys.json': { keys: [issuer.publicJwk] } }
const env = trust(t.testdir(), [entry], keyFile)
const server = await startTestServer({ env, clients: exchangeClients })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')

t.test("a user's token of an outside issuer becomes one that only this connection of the client can use", async t => {
  const answer = await exchange(alice, await issuer.sign(server.clock))
  t.match(answer, {
    status: 200,
    headers: { 'cache-control': 'no-store', pragma: 'no-cache' },
    body: {
      token_type: 'Bearer',
      issued_token_type: tokenType('access_token'),
      token_binding: 'connection',
      scope: 'notes:read',
      refresh_token: undefined,
    },
  })
  const token = answer.body.access_token
  t.match(claimsOf(token), {
    iss: 'https://localhost:8443',
    aud: 'https://localhost:8443',
    sub: 'carol',
    client_id: 'alice',
    act: { sub: 'alice' },
    scope: 'notes:read',
    cnf: { 'x5t#S256': String, 'tls-exporter#S256': String },
  })
  t.match(await alice.get('/api/whoami', token), { status: 200, body: { sub: 'carol', client_id: 'alice' } })
  t.match(await (await server.connect('alice')).get('/api/whoami', token), refusal('connection_mismatch'))
  t.match(await bob.get('/api/whoami', token), refusal('certificate_mismatch'))
  t.match(await alice.call('/api/notes', { method: 'POST', token }), { status: 403, body: { reason: 'scope_missing' } })
  t.match(
    server.events.find(({ jti }) => jti === claimsOf(token).jti),
    { event: 'token.issued', client_id: 'alice' },
  )
})

t.test('accepts the three token types, and issues an access token only', async t => {
  const asJwt = { typ: 'JWT' }
  for (const [type, header] of [
    ['jwt', {}],
    ['jwt', asJwt],
    ['jwt', { typ: undefined }],
    ['access_token', {}],
    ['access_token', { typ: 'application/at+jwt' }],
    ['access_token', asJwt],
    ['id_token', asJwt],
  ] as const) {
    const parameters = { subject_token_type: tokenType(type), requested_token_type: tokenType('access_token') }
    const answer = await exchange(alice, await issuer.sign(server.clock, {}, header), parameters)
    t.match(
      answer,
      { status: 200, body: { issued_token_type: tokenType('access_token') } },
      `${type} ${JSON.stringify(header)}`,
    )
  }
})

t.test('rejects a request with missing or unsupported parameters as malformed, and issues nothing', async t => {
  const token = await issuer.sign(server.clock)
  t.match(await exchange(alice, token), { status: 200 }, 'control')
  for (const parameters of [
    { subject_token: '' },
    { subject_token_type: '' },
    { subject_token_type: 'jwt' },
    { subject_token_type: tokenType('refresh_token') },
    { subject_token_type: tokenType('saml2') },
    { requested_token_type: tokenType('jwt') },
    { requested_token_type: tokenType('refresh_token') },
    { actor_token: token },
    { actor_token: token, actor_token_type: tokenType('jwt') },
    { actor_token_type: tokenType('jwt') },
  ]) {
    const answer = await exchange(alice, token, parameters)
    const expected = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
    t.match(answer, expected, JSON.stringify(Object.keys(parameters)))
  }
  t.match(await exchange(await server.connect('mallory'), token), {
    status: 400,
    body: { error: 'unauthorized_client', reason: 'grant_type_not_allowed' },
  })
})

t.test('limits the scope to that of both token and client', async t => {
  const all = 'notes:read notes:write leaks:report'
  for (const [name, ofToken, wish, given] of [
    ['all of both', { scope: all }, '', 'notes:read notes:write'],
    ['less, as asked for', { scope: all }, 'notes:write', 'notes:write'],
    ['a token without scope leaves the registration', { scope: undefined }, '', 'notes:read notes:write'],
    ['a token with an empty scope leaves nothing', { scope: '' }, '', ''],
    ['a list is read like a text', { scope: ['notes:read', 'openid'] }, '', 'notes:read'],
  ] as const) {
    const answer = await exchange(alice, await issuer.sign(server.clock, ofToken), { scope: wish })
    t.match(answer, { status: 200, body: { scope: given } }, name)
  }
})

t.test('accepts resource and audience as target if they agree', async t => {
  const token = await issuer.sign(server.clock)
  const ours = 'https://localhost:8443'
  for (const [parameters, aud] of [
    [{}, ours],
    [{ audience: backend }, backend],
    [{ resource: backend }, backend],
    [{ resource: backend, audience: backend }, backend],
  ] as const) {
    const { body } = await exchange(alice, token, parameters)
    t.equal(claimsOf(body.access_token).aud, aud, JSON.stringify(parameters))
  }
  for (const parameters of [
    { audience: 'https://nobody.example' },
    { resource: 'https://nobody.example' },
    { resource: backend, audience: ours },
  ])
    t.match(
      await exchange(alice, token, parameters),
      { status: 400, body: { error: 'invalid_target', reason: 'target_unknown' } },
      JSON.stringify(parameters),
    )
})

t.test('issues no token that outlives the exchanged one or the usual lifetime', async t => {
  for (const [seconds, expected] of [
    [120, 120],
    [3000, 300],
  ] as const) {
    const { body } = await exchange(alice, await issuer.sign(server.clock, { exp: server.clock + seconds }))
    t.equal(body.expires_in, expected)
    t.equal(claimsOf(body.access_token).exp, server.clock + expected)
  }
})

t.test('accepts a token_binding of the client’s registration', async t => {
  const token = await issuer.sign(server.clock)
  const { body } = await exchange(alice, token, { token_binding: 'certificate' })
  t.same(Object.keys(claimsOf(body.access_token).cnf), ['x5t#S256'])
  t.match(await (await server.connect('alice')).get('/api/whoami', body.access_token), { status: 200 })
  t.match(await exchange(alice, token, { token_binding: 'none' }), {
    status: 400,
    body: { reason: 'binding_not_allowed' },
  })
})

t.test('refreshes for the same user, with no wider scope, on a new connection', async t => {
  const first = (await exchange(bob, await issuer.sign(server.clock, { exp: server.clock + 5 }))).body
  t.match(first, { refresh_token: /^tlsbound_rt_/, expires_in: 5 })
  const later = await server.connect('bob')
  const refresh = (refresh_token: string, more = {}) =>
    later.requestToken({ grant_type: 'refresh_token', refresh_token, ...more })
  t.match(await refresh(first.refresh_token, { scope: 'notes:write' }), {
    status: 400,
    body: { reason: 'scope_denied' },
  })
  const second = (await refresh(first.refresh_token)).body
  const [before, after] = [claimsOf(first.access_token), claimsOf(second.access_token)]
  t.match(after, { sub: 'carol', act: { sub: 'bob' }, scope: 'notes:read', grant: before.grant, client_id: 'bob' })
  t.match(await later.get('/api/whoami', second.access_token), { status: 200, body: { sub: 'carol' } })
  const thief = await server.connect('alice', { clientId: 'bob' })
  const stolen = { grant_type: 'refresh_token', refresh_token: second.refresh_token }
  t.match(await thief.requestToken(stolen), { status: 401, body: { reason: 'client_mismatch' } })
})

t.test('exchanges a token of this server for a narrower one or another target, within its grant', async t => {
  const wide = (await bob.requestToken()).body
  const narrow = await exchange(bob, wide.access_token, { scope: 'notes:read' })
  t.match(narrow, { status: 200, body: { scope: 'notes:read', refresh_token: undefined } })
  const [before, after] = [claimsOf(wide.access_token), claimsOf(narrow.body.access_token)]
  t.match(after, { sub: 'bob', grant: before.grant, aud: before.aud, act: undefined }, 'no actor')
  t.match(await exchange(bob, narrow.body.access_token, { scope: 'notes:write' }), {
    status: 400,
    body: { reason: 'scope_denied' },
  })

  const user = (await exchange(bob, await issuer.sign(server.clock))).body.access_token
  const elsewhere = claimsOf((await exchange(bob, user, { audience: backend })).body.access_token)
  t.match(elsewhere, { sub: 'carol', act: { sub: 'bob' }, aud: backend, exp: claimsOf(user).exp })
  const forBackend = await bob.token({ resource: backend })
  t.match(claimsOf((await exchange(bob, forBackend)).body.access_token), { aud: backend }, 'the default target')

  const revoke = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
  t.match(await bob.get('/api/whoami', narrow.body.access_token), { status: 200 }, 'control')
  const body = new URLSearchParams({ client_id: 'bob', token: wide.refresh_token }).toString()
  t.match(await bob.call('/oauth/revoke', { ...revoke, body }), { status: 200 })
  t.match(await bob.get('/api/whoami', narrow.body.access_token), refusal('revoked'), 'revoked with the grant')
})

t.test('exchanges an opaque token of this server for an opaque token', async t => {
  const [client] = exchangeClients
  const own = await startTestServer({ clients: [{ ...client, access_token_format: 'opaque' }] })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const token = await connection.token()
  const answer = await exchange(connection, token, { scope: 'notes:read' })
  t.match(answer, { status: 200, body: { access_token: /^tlsbound_at_/, scope: 'notes:read' } })
  t.match(await connection.get('/api/whoami', answer.body.access_token), { status: 200, body: { scope: 'notes:read' } })
  t.match(await exchange(connection, token, { subject_token_type: tokenType('jwt') }), {
    status: 400,
    body: { reason: 'subject_token_invalid' },
  })
  await own.store.close()
  t.match(
    await exchange(connection, token),
    { status: 503, body: { error: 'temporarily_unavailable', reason: 'store_unavailable' } },
    'an unavailable store is not an invalid token',
  )
})

t.test('shows the actor in introspection, and the grant in the metadata', async t => {
  const { access_token: token } = (await exchange(alice, await issuer.sign(server.clock), { audience: backend })).body
  const mallory = await server.connect('mallory')
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = new URLSearchParams({ client_id: 'mallory', token }).toString()
  t.match((await mallory.call('/oauth/introspect', { method: 'POST', headers, body })).body, {
    active: true,
    sub: 'carol',
    client_id: 'alice',
    act: { sub: 'alice' },
    cnf: claimsOf(token).cnf,
  })
  const { grant_types_supported } = (await mallory.get('/.well-known/oauth-authorization-server')).body
  t.ok(grant_types_supported.includes(exchangeGrant))
})

t.test('fetches keys once, caches them for ten minutes, and fetches them again for a new kid', async t => {
  const pki = makeDemoPki()
  const keys = await startKeyServer(t, pki, give(issuer.publicJwk))
  const files = { 'ca.pem': pki.ca.certificate }
  const list = trust(t.testdir(), [{ ...entry, jwks_file: undefined, jwks_uri: keys.uri, ca_file: 'ca.pem' }], files)
  const own = await startTestServer({ env: list, clients: exchangeClients, pki })
  t.teardown(() => own.close())
  const connections = await Promise.all([1, 2, 3].map(() => own.connect('alice')))
  const [connection] = connections as [TestConnection]
  const good = async (by = issuer, on = connection) => (await exchange(on, await by.sign(own.clock))).status
  t.equal(keys.requests, 0, 'not before the first use')
  t.same(await Promise.all(connections.map(on => good(issuer, on))), [200, 200, 200])
  t.equal(keys.requests, 1)

  const next = await makeIssuer('outside-2', 'EdDSA')
  keys.answer = give(next.publicJwk)
  t.equal(await good(next), 400, 'an unknown kid causes no second fetch at once')
  t.equal(keys.requests, 1)
  own.clock += 30
  t.equal(await good(next), 200)
  t.equal(await good(), 400, 'a withdrawn key is no longer valid')
  t.equal(keys.requests, 2)
  own.clock += 599
  t.equal(await good(next), 200)
  t.equal(keys.requests, 2)
  own.clock += 1
  t.equal(await good(next), 200)
  t.equal(keys.requests, 3)
})

t.test('prefixes subjects per issuer, so that two issuers never share one', async t => {
  const other = await makeIssuer('other-1', 'RS256')
  const entries = [
    { ...entry, subject_prefix: 'one:' },
    { ...entry, issuer: 'https://other.example', jwks_file: 'other.json', subject_prefix: 'two:', scope_claim: 'scp' },
  ]
  const list = trust(t.testdir(), entries, { ...keyFile, 'other.json': { keys: [other.publicJwk] } })
  const own = await startTestServer({ env: list, clients: exchangeClients })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const one = await exchange(connection, await issuer.sign(own.clock))
  const theirs = { iss: 'https://other.example', scp: ['notes:write'] }
  const two = await exchange(connection, await other.sign(own.clock, theirs))
  t.equal(claimsOf(one.body.access_token).sub, 'one:carol')
  t.match(claimsOf(two.body.access_token), { sub: 'two:carol', scope: 'notes:write' })
  t.match(await exchange(connection, await other.sign(own.clock)), { status: 400 }, 'an issuer cannot sign for another')
})

t.test('reports all problems of the list of issuers together, and does not start', async t => {
  const folder = t.testdir()
  const files = {
    'private.json': { keys: [{ ...issuer.privateJwk, kid: 'x' }] },
    'secret.json': { keys: [{ kty: 'oct', k: 'AAAA' }] },
    'none.json': { keys: [] },
    'text.json': 'not JSON',
    ...keyFile,
  }
  const read = (entries: readonly object[]) => {
    const { TLSBOUND_TRUSTED_ISSUERS_FILE: list } = trust(folder, entries, files)
    return readTrustedIssuersFile(list, 'https://localhost:8443')
  }
  t.match(read([entry]), [{ rules: { algorithms: ['ES256', 'RS256', 'EdDSA'], maximumAge: 3600 } }], 'control')
  const rows: [object, RegExp][] = [
    [{ ...entry, issuer: 'http://idp.example' }, /issuer must be/],
    [{ ...entry, issuer: 'https://localhost:8443' }, /this server/],
    [{ ...entry, audience: undefined }, /audience must be/],
    [{ ...entry, jwks_uri: 'https://idp.example/jwks' }, /jwks_file and jwks_uri exclude each other/],
    [{ ...entry, profile: 'ping' }, /profile must be one of rfc9068, keycloak, auth0, /],
    [{ ...entry, profile: { types: ['jwt'] } }, /profile must be one of/],
    [{ ...entry, profile: 'okta', scope_claim: 'scp' }, /scope_claim and profile exclude each other/],
    [{ ...entry, jwks_file: undefined, jwks_uri: 'http://idp.example/jwks' }, /jwks_uri must be/],
    [{ ...entry, ca_file: 'ca.pem' }, /ca_file and jwks_file exclude each other/],
    [
      { ...entry, jwks_file: undefined, jwks_uri: 'https://idp.example/jwks', ca_file: 'text.json' },
      /text\.json: there is no PEM block in this file/,
    ],
    [{ ...entry, algorithms: ['HS256'] }, /algorithms must be/],
    [{ ...entry, algorithms: ['none'] }, /algorithms must be/],
    [{ ...entry, algorithms: [] }, /algorithms must be/],
    [{ ...entry, maximum_age: 0 }, /maximum_age must be/],
    [{ ...entry, scope_claim: 7 }, /scope_claim must be/],
    [{ ...entry, subject_prefix: '\n' }, /subject_prefix must/],
    [{ ...entry, jwks: {} }, /jwks is not known/],
    [{ ...entry, jwks_file: 'missing.json' }, /missing\.json: there is no such file/],
    [{ ...entry, jwks_file: 'private.json' }, /private\.json, key number 1: this is a private or secret key/],
    [{ ...entry, jwks_file: 'secret.json' }, /secret\.json, key number 1: this is a private or secret key/],
    [{ ...entry, jwks_file: 'none.json' }, /none\.json: none of its keys can verify access tokens/],
    [{ ...entry, jwks_file: 'text.json' }, /text\.json, line 1, column 1: this word is not JSON/],
  ]
  for (const [wrong, problem] of rows) t.throws(() => read([wrong]), { message: problem }, String(problem))
  t.throws(() => read([entry, entry]), { message: /listed twice/ })
  t.throws(() => read([entry, { ...entry, issuer: 'https://b.example' }]), { message: /subject_prefix is required/ })
  const prefixes = ['a', 'ab'].map(prefix => ({
    ...entry,
    issuer: `https://${prefix}.example`,
    subject_prefix: prefix,
  }))
  t.throws(() => read(prefixes), { message: /must not be a prefix of another one/ })
  t.throws(() => read([{ ...entry, audience: 1 }, { issuer: idp }]), {
    message: /audience must be.*\n.*audience must be/s,
  })
  t.throws(() => readTrustedIssuersFile(join(folder, 'text.json'), 'x'), { message: /text\.json, line 1, column 1: / })
  await t.rejects(startTestServer({ env: trust(folder, [{}]) }), { message: /issuer number 1: / })
})

t.test('serve loads the list at the start, and does not start with an invalid one', async t => {
  const folder = t.testdir()
  const clientsFile = join(folder, 'clients.json')
  writeFileSync(clientsFile, JSON.stringify(exchangeClients))
  const off = { TLSBOUND_OPS_PORT: '0', TLSBOUND_CLIENTS_FILE: clientsFile }
  const wrong = trust(
    folder,
    [
      { ...entry, algorithms: ['HS256'] },
      { ...entry, jwks_file: 'missing.json' },
    ],
    keyFile,
  )
  const ended = await runTlsbound(['serve'], folder, { ...off, ...wrong })
  t.match(ended, { code: 1, stderr: /algorithms must be.*\n.*missing\.json: there is no such file/ })

  const audience = 'https://exchange.example'
  const right = trust(folder, [{ ...entry, audience }], keyFile)
  const running = await startTlsbound(t, folder, { ...off, ...right })
  const connection = await running.connect('alice')
  const now = Math.floor(Date.now() / 1000)
  t.match(await exchange(connection, await issuer.sign(now, { aud: audience })), { status: 200 })
  t.match(await exchange(connection, await issuer.sign(now)), { status: 400 }, 'another audience')
})
