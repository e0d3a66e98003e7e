// POST /oauth/revoke: a client revokes its own tokens and no others. They are rejected from the next request on. OA05, OA20,
// OA21 on one server, OA28, N-50, I5.
import t from 'tap'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import {
  claimsOf,
  contentsOf,
  introspect,
  post,
  refresh,
  register,
  revoke,
  startGrant,
  tokensOf,
} from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

const audience = 'https://localhost:8443'
const clients = [
  register('alice'),
  register('bob'),
  register('olga', { access_token_format: 'opaque' }),
  register('stan', { refresh_token_rotation: 'static' }),
  register('api', { resource: audience, grant_types: ['client_credentials'] }),
]
const server = await startTestServer({ clients })
t.teardown(() => server.close())
const named = (name: string) =>
  issueCertificate({ subject: [['CN', name]], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] })
const [olgas, stans] = [named('olga'), named('stan')]
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const olga = await server.connect(olgas, { clientId: 'olga' })
const stan = await server.connect(stans, { clientId: 'stan' })
const api = await server.connect(named('api'), { clientId: 'api' })
const revoked = { status: 401, body: { error: 'invalid_token', reason: 'revoked' } }
const done = { status: 200, text: '', headers: { 'cache-control': 'no-store' } }

t.test(
  'rejects a revoked access token immediately on every connection, including those that remember it (OA21)',
  async t => {
    const rows = [
      ['alice', alice, {}],
      ['alice', alice, { token_binding: 'certificate' }],
      ['olga', olga, {}],
      ['olga', olga, { token_binding: 'certificate' }],
    ] as const
    for (const [who, connection, wish] of rows) {
      const { access, refresh: token } = await startGrant(connection, wish)
      const sibling = tokensOf(await refresh(connection, token, wish))
      const elsewhere = await server.connect(who === 'alice' ? 'alice' : olgas, { ALPNProtocols: ['h2'] })
      const users = 'token_binding' in wish ? [connection, elsewhere] : [connection]
      for (const user of users) t.match(await user.get('/api/whoami', access), { status: 200 }, who)
      t.match(await introspect(api, access), { body: { active: true } })

      const before = server.events.length
      t.match(await revoke(elsewhere, access, who), done, 'N-50')
      t.match(server.events.slice(before), [
        { event: 'token.revoked', outcome: 'success', client_id: who, kind: 'token' },
      ])
      t.equal(server.events.length, before + 1)
      for (const user of users) t.match(await user.get('/api/whoami', access), revoked)
      t.same((await introspect(api, access)).body, { active: false })
      t.match(await connection.get('/api/whoami', sibling.access), { status: 200 }, 'its grant stays valid')
      t.match(await refresh(connection, sibling.refresh, wish), { status: 200 })
    }
  },
)

t.test('revokes all tokens of a grant with any of its refresh tokens (OA21, N-50)', async t => {
  for (const [who, connection] of [
    ['alice', alice],
    ['olga', olga],
    ['stan', stan],
  ] as const)
    for (const which of [0, 1, 2]) {
      const other = await startGrant(connection)
      const chain = [await startGrant(connection)]
      for (let use = 0; use < 2; use++) chain.push(tokensOf(await refresh(connection, chain.at(-1)?.refresh as string)))
      for (const { access } of chain) t.match(await connection.get('/api/whoami', access), { status: 200 })
      t.match(await revoke(connection, chain[which]?.refresh as string, who), done)
      for (const { access, refresh: token } of chain) {
        t.match(await connection.get('/api/whoami', access), revoked, `${who}, number ${which}`)
        t.same((await introspect(api, access)).body, { active: false })
        t.match(await refresh(connection, token), { status: 400, body: { reason: 'refresh_revoked' } })
      }
      t.match(await connection.get('/api/whoami', other.access), { status: 200 }, 'another grant stays valid')
      t.match(await refresh(connection, other.refresh), { status: 200 })
    }
})

t.test('revokes a grant that has just ended, with its issued tokens (N-50)', async t => {
  const short = await startTestServer({ clients, env: { TLSBOUND_REFRESH_TOKEN_LIFETIME: '100' } })
  t.teardown(() => short.close())
  const connection = await short.connect('alice')
  const { access, refresh: token } = await startGrant(connection)
  short.clock += 150
  t.match(await refresh(connection, token), { status: 400, body: { reason: 'refresh_expired' } })
  t.match(await connection.get('/api/whoami', access), { status: 200 })
  t.match(await revoke(connection, token), done)
  t.match(await connection.get('/api/whoami', access), revoked)
})

t.test('revokes no token of another client, and does not reveal whether it is valid (OA20, N-50)', async t => {
  const signed = await startGrant(alice)
  const opaque = await startGrant(olga)
  const all = [signed.refresh, opaque.refresh, opaque.access]
  const before = await contentsOf(server.store, all)
  for (const token of [signed.access, signed.refresh, opaque.access, opaque.refresh]) {
    const events = server.events.length
    t.match(await revoke(bob, token, 'bob'), done)
    await until(() => server.events.length > events)
    const refused = { event: 'token.refused', reason: 'client_mismatch', detail: 'other_owner', status: 200, by: 'bob' }
    t.match(server.events.slice(events), [refused])
    t.equal(server.events.length, events + 1)
  }
  for (const [who, id, reason] of [
    [bob, 'alice', 'client_mismatch'],
    [await server.connect('mallory'), 'alice', 'client_mismatch'],
    [await server.connect('mallory'), 'mallory', 'unknown_client'],
    [await server.connect('stranger'), 'alice', 'certificate_untrusted'],
    [await server.connect(null), 'alice', 'no_certificate'],
  ] as const)
    t.match(await revoke(who, signed.refresh, id), { status: 401, body: { error: 'invalid_client', reason } }, reason)
  t.same(await contentsOf(server.store, all), before)
  t.match(await alice.get('/api/whoami', signed.access), { status: 200 })
  t.match(await olga.get('/api/whoami', opaque.access), { status: 200 })
  t.match(await refresh(alice, signed.refresh), { status: 200 })
  t.match(await refresh(olga, opaque.refresh), { status: 200 })
})

t.test('refuses revocation by a disabled client, and accepts it with any certificate of the owner', async t => {
  const { access } = await startGrant(alice)
  await server.store.disableClient('alice', JSON.stringify(register('alice')))
  const before = await contentsOf(server.store)
  t.match(await revoke(alice, access), { status: 401, body: { reason: 'client_disabled' } })
  t.same(await contentsOf(server.store), before)
  await server.store.enableClient('alice')
  t.match(await alice.get('/api/whoami', access), { status: 200 })
  t.match(await revoke(await server.connect(named('alice')), access), done, 'her next certificate')
  t.match(await alice.get('/api/whoami', access), revoked)
})

t.test('finds a token whatever the hint says (N-50)', async t => {
  for (const hint of ['access_token', 'refresh_token', 'id_token', 'x', '']) {
    const { access, refresh: token } = await startGrant(alice)
    for (const [given, dead] of [
      [access, 'revoked'],
      [token, 'revoked'],
    ] as const) {
      t.match(
        await post(alice, '/oauth/revoke', { client_id: 'alice', token: given, token_type_hint: hint }),
        done,
        hint,
      )
      t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: dead } })
    }
    t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } })
  }
})

t.test(
  'accepts one form by POST from authenticated clients at both endpoints, and no cross-origin request',
  async t => {
    const { access } = await startGrant(alice)
    const before = await contentsOf(server.store)
    for (const path of ['/oauth/revoke', '/oauth/introspect']) {
      const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
      const good = { client_id: 'alice', token: access }
      t.match(await post(alice, path, { client_id: 'alice' }), malformed, 'no token')
      t.match(await post(alice, path, { client_id: 'alice', token: '' }), malformed, 'an empty one')
      t.match(await post(alice, path, { token: access }), malformed, 'no client_id')
      t.match(await post(alice, path, `client_id=alice&token=${access}&token=${access}`), malformed, 'two')
      t.match(await post(alice, path, `client_id=alice&client_id=alice&token=${access}`), malformed, 'two clients')
      t.match(await post(alice, `${path}?token=${access}`, { client_id: 'alice' }), malformed, 'in the query')
      t.match(await post(alice, `${path}?x=y`, good), malformed, 'a path with more')
      t.match(await post(alice, path, good, { authorization: `Bearer ${access}` }), malformed, 'two ways at once')
      for (const name of ['client_secret', 'client_assertion'])
        t.match(await post(alice, path, { ...good, [name]: 'x' }), malformed)
      for (const type of ['application/json', 'text/plain', 'multipart/form-data'])
        t.match(await post(await server.connect('alice'), path, good, { 'content-type': type }), malformed, type)
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']) {
        const answer = await alice.call(path, { method, token: access })
        t.match(answer.status, 405, method)
      }
      const origin = await post(alice, path, { client_id: 'alice', token: 'x' }, { origin: 'https://evil.example' })
      t.match(origin, { status: 403, headers: { 'cache-control': 'no-store' } })
      t.same(
        Object.keys(origin.headers).filter(name => name.startsWith('access-control')),
        [],
        'OA28',
      )
      const nobody = await server.connect(null)
      t.match(await post(nobody, path, good), {
        status: 401,
        body: { error: 'invalid_client', reason: 'no_certificate' },
      })
    }
    t.same(await contentsOf(server.store), before)
    t.match(await alice.get('/api/whoami', access), { status: 200 })
  },
)

t.test('names revoked tokens by id in events, and writes no token (I4)', async t => {
  const { access, refresh: token } = await startGrant(alice)
  const { jti, grant } = claimsOf(access)
  await revoke(alice, access)
  t.match(server.events.at(-1), { event: 'token.revoked', kind: 'token', value: jti })
  await revoke(alice, token)
  t.match(server.events.at(-1), { event: 'token.revoked', kind: 'grant', value: grant })
  const written = JSON.stringify(server.events) + server.log.join('')
  t.notOk(/tlsbound_(rt|at)_/.test(written))
  t.notOk(written.includes(access.split('.')[2] as string))
})
