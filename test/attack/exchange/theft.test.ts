// Stolen or foreign subject tokens, and exchanges that request more than was granted. RFC 8693 §4.1, §4.4, §5; RFC 7800 §3.
// I1, CB01, CB02, CL03, CL12, OA06, OA16, LK01; N-24, N-41.
import t from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { claimsFor, confirmationOf, forgeToken, headerOf } from '../../helpers/tokens/forge-token.ts'
import {
  backend,
  claimsOf,
  exchange,
  exchangeClients,
  exchangeGrant,
  idp,
  makeIssuer,
  outsideAudience,
  refuseExchange,
  tokenType,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
const env = trust(t.testdir(), [entry], { 'keys.json': { keys: [issuer.publicJwk] } })
const jwk = await generateTokenKey('ES256')
const server = await startTestServer({ env, clients: exchangeClients, signingKeys: [jwk] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const refuse = (t: Parameters<typeof refuseExchange>[0], connection: TestConnection, name: string, token: string) =>
  refuseExchange(t, { server, connection }, name, token)

t.test('rejects an exchanged token of a user on every other connection (I1, CB01, CB02)', async t => {
  const { body } = await exchange(alice, await issuer.sign(server.clock))
  const token = body.access_token
  t.match(await alice.get('/api/whoami', token), { status: 200, body: { sub: 'carol' } }, 'control')
  const again = await server.connect('alice')
  const http2 = await server.connect('alice', { ALPNProtocols: ['h2'] })
  for (const connection of [again, http2])
    t.match(await connection.get('/api/whoami', token), refusal('connection_mismatch'))
  t.match(await bob.get('/api/whoami', token), refusal('certificate_mismatch'))
  t.match(await (await server.connect(null)).get('/api/whoami', token), refusal('no_certificate'))
})

t.test('exchanges a token of this server only for its presenter, at every level', async t => {
  const bound = await alice.token()
  t.match(await exchange(alice, bound), { status: 200 }, 'control')
  const again = await server.connect('alice')
  await refuse(t, again, 'on another connection', bound)
  await refuse(t, bob, 'with another certificate', bound)
  t.match(server.events.at(-1), { jti: claimsOf(bound).jti, client_id: 'alice' }, 'the event names the stolen token')
  const loose = await alice.token({ token_binding: 'certificate' })
  t.match(await exchange(again, loose), { status: 200 }, 'control')
  await refuse(t, bob, 'with another certificate, level certificate', loose)
  await refuse(
    t,
    alice,
    'with a letter changed',
    loose.replace(/.$/, last => (last === 'A' ? 'B' : 'A')),
  )
  const asId = { subject_token_type: tokenType('id_token') }
  await refuseExchange(t, { server, connection: alice }, 'as an id_token, which it is not', loose, asId)

  const revoke = new URLSearchParams({ client_id: 'alice', token: loose }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  t.match(await alice.call('/oauth/revoke', { method: 'POST', headers, body: revoke }), { status: 200 })
  await refuse(t, alice, 'revoked', loose)
  server.clock += 300
  await refuse(t, alice, 'expired', bound)
})

t.test('rejects an incomplete or foreign token signed by its own key (CL12)', async t => {
  const forge = (claims: object, header: object = headerOf(jwk)) =>
    forgeToken({ jwk, header, claims: { ...claimsFor(alice, server), ...claims } })
  const ours = { audience: 'https://localhost:8443' }
  t.match(await exchange(alice, forge({}), ours), { status: 200 }, 'control')
  for (const [name, token] of [
    ['of another client', forge({ client_id: 'bob' })],
    ['for an unknown target', forge({ aud: 'https://other.example' })],
    ['for several targets', forge({ aud: [ours.audience, backend] })],
    ['without cnf', forge({ cnf: undefined })],
    ['with unknown members in cnf', forge({ cnf: { ...confirmationOf(alice), jkt: 'x' } })],
    ['without exp', forge({ exp: undefined })],
    ['of another type', forge({}, { ...headerOf(jwk), typ: 'JWT' })],
  ] as const)
    await refuseExchange(t, { server, connection: alice }, name, token, ours)
})

t.test('never extends the lifetime of a token or its grant by repeated exchanges', async t => {
  const first = await bob.token()
  let token = first
  for (let round = 0; round < 3; round++) {
    server.clock += 50
    const { body } = await exchange(bob, token)
    t.match(body, { expires_in: 250 - 50 * round, refresh_token: undefined })
    token = body.access_token
  }
  t.equal(claimsOf(token).grant, claimsOf(first).grant)
  server.clock += 150
  await refuse(t, bob, 'its lifetime is over', token)
})

t.test('exchanges a bound token of an outside issuer only with that certificate (CL03)', async t => {
  const mine = confirmationOf(alice)
  const x5t = { 'x5t#S256': mine['x5t#S256'] }
  const bound = await issuer.sign(server.clock, { cnf: x5t })
  t.match(await exchange(alice, bound), { status: 200 }, 'control')
  t.match(await exchange(await server.connect('alice'), bound), { status: 200 }, 'control: any connection of it')
  await refuse(t, bob, 'with another certificate', bound)
  for (const cnf of [
    null,
    {},
    [],
    '',
    true,
    { jkt: mine['x5t#S256'] },
    { jwk: issuer.publicJwk },
    { kid: 'x' },
    { ...x5t, jkt: mine['x5t#S256'] },
    mine, // an outside issuer cannot know the connection
    { ...x5t, tls_exp: 'EXPORTER-oauth-tls-session-bound' },
    { 'x5t#S256': [mine['x5t#S256']] },
    { 'x5t#S256': '' },
  ])
    await refuse(t, alice, `cnf ${JSON.stringify(cnf)}`, await issuer.sign(server.clock, { cnf }))
})

t.test(
  'never widens the scope beyond token and registration, and issues nothing without a scope (OA06, N-41)',
  async t => {
    const denied = { status: 400, body: { error: 'invalid_scope', reason: 'scope_denied' } }
    const token = await issuer.sign(server.clock)
    t.match(await exchange(alice, token, { scope: 'notes:read' }), { status: 200 }, 'control')
    for (const [name, claims, scope] of [
      ['beyond the token', {}, 'notes:write'],
      ['beyond the registration', {}, 'openid'],
      ['beyond both', {}, 'leaks:report'],
      ['one of two', {}, 'notes:read notes:write'],
      ['twice', {}, 'notes:read notes:read'],
      ['a prefix', {}, 'notes'],
      ['nothing in common', { scope: 'openid email' }, ''],
      ['beyond a token with an empty scope', { scope: '' }, 'notes:read'],
      ['beyond the registration, of a token without scope', { scope: undefined }, 'openid'],
    ] as const)
      t.match(await exchange(alice, await issuer.sign(server.clock, claims), { scope }), denied, name)
    const narrow = await alice.token({ scope: 'notes:read' })
    t.match(
      await exchange(alice, narrow, { scope: 'notes:write' }),
      denied,
      'a token of this server with a narrow scope',
    )
    t.match(await exchange(alice, narrow, { scope: 'notes:write', audience: backend }), denied, 'for another target')
  },
)

t.test('names the client as the actor, whatever a token or a request contains (RFC 8693 §4.1, §4.4)', async t => {
  const may = await issuer.sign(server.clock, { may_act: { sub: 'alice' } })
  t.match(claimsOf((await exchange(alice, may)).body.access_token).act, { sub: 'alice' }, 'control')
  await refuse(t, bob, 'may_act names another', may)
  for (const claims of [
    { may_act: { sub: 'alice', iss: 'https://evil.example' } },
    { may_act: ['alice'] },
    { may_act: 'alice' },
    { may_act: null },
    { may_act: {} },
    { act: { sub: 'alice' } },
    { act: { sub: 'root', act: { sub: 'alice' } } },
  ])
    await refuse(t, alice, JSON.stringify(claims), await issuer.sign(server.clock, claims))
  const extra = { sub: 'root', act: '{"sub":"root"}', cnf: '{}', iss: 'x', exp: '9999999999', jti: 'x', lifetime: '9' }
  const { body } = await exchange(alice, await issuer.sign(server.clock, { client_id: 'root', jti: 'theirs' }), extra)
  const claims = claimsOf(body.access_token)
  t.match(claims, { sub: 'carol', act: { sub: 'alice' }, client_id: 'alice', cnf: confirmationOf(alice) })
  t.not(claims.jti, 'theirs')
  t.ok(claims.exp <= server.clock + 120)
})

t.test('distinguishes a user with the name of a client from that client (RFC 9700 §4.15)', async t => {
  for (const sub of ['alice', 'bob', 'mallory']) await refuse(t, alice, sub, await issuer.sign(server.clock, { sub }))
})

t.test('requires certificate, name and registration of the client for an exchange (OA01, PK26)', async t => {
  const token = await issuer.sign(server.clock)
  const ask = async (who: Parameters<typeof server.connect>[0], clientId = 'alice') =>
    exchange(await server.connect(who, { clientId }), token)
  t.match(await ask('alice'), { status: 200 }, 'control')
  t.match(await ask(null), { status: 401, body: { error: 'invalid_client', reason: 'no_certificate' } })
  t.match(await ask('stranger'), { status: 401, body: { reason: 'certificate_untrusted' } })
  t.match(await ask('bob'), { status: 401, body: { reason: 'client_mismatch' } })
  t.match(await ask('alice', 'nobody'), { status: 401, body: { reason: 'unknown_client' } })
  t.match(await ask('mallory', 'mallory'), { status: 400, body: { reason: 'grant_type_not_allowed' } }, 'ASVS 10.4.4')
  const form = { subject_token: token, subject_token_type: tokenType('jwt') }
  const twice = `${new URLSearchParams({ grant_type: exchangeGrant, client_id: 'alice', ...form })}&subject_token=x`
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  t.match(await alice.call('/oauth/token', { method: 'POST', headers, body: twice }), {
    status: 400,
    body: { reason: 'malformed_request' },
  })
})

t.test('writes neither the subject token nor the issued tokens to any output (I4, LK01)', async t => {
  const token = await issuer.sign(server.clock)
  const { body } = await exchange(bob, token)
  const written = JSON.stringify([server.events, server.log])
  for (const secret of [token, body.access_token, body.refresh_token])
    t.notOk(written.includes(secret) || written.includes(secret.split('.').at(-1)), 'not found')
})
