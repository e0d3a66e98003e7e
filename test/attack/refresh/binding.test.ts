// A refresh token is bound to its client, and by its registration to its certificate, but not to a connection: the issued access
// token is bound to the current connection. OA06, OA07, OA08, N-28, N-37, N-40, N-41. A refused refresh changes nothing.
// Refresh tokens that survive a renewal: renewal.test.ts.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken, hashOpaqueToken } from '../../../src/core/opaque-token.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import {
  claimsOf,
  contentsOf,
  post,
  refresh,
  register,
  startGrant,
  tokensOf,
  watchStore,
} from '../../helpers/tokens/grants.ts'

const { store, calls } = watchStore(openSqlite(':memory:'))
const env = { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }
const clients = [
  register('alice', { refresh_token_binding: 'certificate' }),
  register('bob'),
  register('carol', { grant_types: ['client_credentials'] }),
  register('api', { resource: 'https://api.example' }),
]
const server = await startTestServer({ clients, store, env })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const named = (name: string, changes: object = {}): Identity =>
  issueCertificate({
    subject: [['CN', name]],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
    ...changes,
  })

t.test('binds the token of a refresh to the connection of the refresh (OA08)', async t => {
  for (const options of [{}, { ALPNProtocols: ['h2'] }, { maxVersion: 'TLSv1.2' as const }]) {
    const first = await startGrant(alice)
    const other = await server.connect('alice', options)
    const answer = await refresh(other, first.refresh)
    t.match(answer, {
      status: 200,
      headers: { 'cache-control': 'no-store', pragma: 'no-cache', 'content-type': /^application\/json/ },
      body: { token_type: 'Bearer', expires_in: 300, scope: 'notes:read notes:write', token_binding: 'connection' },
    })
    const { access, refresh: next } = tokensOf(answer)
    t.match(next, /^tlsbound_rt_[0-9A-Za-z]{49}$/)
    t.not(next, first.refresh)
    t.equal(claimsOf(access).grant, claimsOf(first.access).grant, 'one grant')
    t.match(await other.get('/api/whoami', access), { status: 200, body: { token_binding: 'connection' } })
    t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'connection_mismatch' } })
    t.match(await bob.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_mismatch' } })
    t.match(
      await alice.get('/api/whoami', first.access),
      { status: 200 },
      'the earlier one stays valid on its connection',
    )
    t.match(await refresh(alice, next), { status: 200 }, 'and in the other direction')
  }
})

t.test(
  'rejects a refresh token of another client, changes nothing, and still serves its owner (OA07, N-28, N-41)',
  async t => {
    const { refresh: token } = await startGrant(alice)
    const { alice: original } = server.pki
    const thieves: [string, Identity | null, string, number, string][] = [
      ['another key, same name', named('alice'), 'alice', 400, 'refresh_certificate_mismatch'],
      [
        'another certificate of the same key',
        named('alice', { keyPair: original }),
        'alice',
        400,
        'refresh_certificate_mismatch',
      ],
      ['another client as itself', server.pki.bob, 'bob', 400, 'refresh_unknown'],
      ['another client as alice', server.pki.bob, 'alice', 401, 'client_mismatch'],
      ['alice as another client', original, 'bob', 401, 'client_mismatch'],
      ['a client that is not registered', server.pki.mallory, 'mallory', 401, 'unknown_client'],
      ['a client that may not refresh (N-39)', named('carol'), 'carol', 400, 'grant_type_not_allowed'],
      ['a stranger', server.pki.stranger, 'alice', 401, 'certificate_untrusted'],
      ['nobody', null, 'alice', 401, 'no_certificate'],
    ]
    const before = await contentsOf(store, [token])
    for (const [name, identity, client_id, status, reason] of thieves) {
      const thief = await server.connect(identity)
      const events = server.events.length
      t.match(await refresh(thief, token, { client_id }), { status, body: { reason } }, name)
      const event = status === 401 ? 'client.refused' : 'token.refused'
      const isLiving = ['refresh_unknown', 'client_mismatch', 'unknown_client'].includes(reason)
      const about = isLiving ? { client_id: 'alice' } : { client_id } // its owner, if the token is valid
      t.match(server.events.slice(events), [{ event, reason, status, ...about }], 'I7')
      t.equal(server.events.length, events + 1, 'one event')
      thief.close()
    }
    t.same(await contentsOf(store, [token]), before)
    t.match(await refresh(alice, token), { status: 200 }, 'still usable')
  },
)

t.test('rejects malformed refresh tokens without a query to the store', async t => {
  const { access, refresh: token } = await startGrant(alice)
  const changed = token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')
  const noise = [
    ...[
      'x',
      ' ',
      access,
      changed,
      `${token} `,
      ` ${token}`,
      `${token}\n`,
      `${token}\u0001`,
      token.slice(0, -1),
      `${token}0`,
    ],
    ...[
      token.toUpperCase(),
      token.replace('_rt_', '_at_'),
      token.replace('_rt_', '_xx_'),
      token.slice(0, 20).repeat(300),
    ],
    ...[buildOpaqueToken('at', randomBytes(32)), '__proto__', "' OR 1=1 --", '0'.repeat(10_000)],
  ]
  const before = calls.length
  for (const wrong of noise)
    t.match(
      await refresh(alice, wrong),
      { status: 400, body: { error: 'invalid_grant', reason: 'refresh_unknown' } },
      JSON.stringify(wrong).slice(0, 30),
    )
  const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
  t.match(await refresh(alice, ''), malformed, 'none')
  const twice = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'alice', refresh_token: token })
  twice.append('refresh_token', token)
  t.match(await post(alice, '/oauth/token', twice.toString()), malformed, 'the same one twice')
  const inQuery = { grant_type: 'refresh_token', client_id: 'alice' }
  t.match(await post(alice, `/oauth/token?refresh_token=${token}`, inQuery), malformed, 'in the query')
  t.same(calls.slice(before), [])
  t.match(
    await refresh(alice, buildOpaqueToken('rt', randomBytes(32))),
    { status: 400, body: { reason: 'refresh_unknown' } },
    'control: one with the right checksum is looked up',
  )
  t.same(calls.slice(before), ['findRefreshToken'])
  t.match(await refresh(alice, token), { status: 200 })
})

t.test('narrows the scope in a refresh and never widens it (OA06, N-41)', async t => {
  const { refresh: narrow } = await startGrant(alice, { scope: 'notes:read' })
  const before = await contentsOf(store, [narrow])
  for (const scope of [
    ...['notes:write', 'notes:read notes:write', 'admin', 'notes:read admin', 'notes', 'notes:read:all', 'NOTES:READ'],
    ...['notes:read notes:read', ' notes:read', 'notes:read ', 'notes:read\tnotes:write', '*', 'constructor', '"'],
    `notes:read ${'x'.repeat(8000)}`,
  ])
    t.match(
      await refresh(alice, narrow, { scope }),
      { status: 400, body: { error: 'invalid_scope', reason: 'scope_denied' } },
      scope.slice(0, 30),
    )
  const long = await server.connect('alice')
  t.match(await refresh(long, narrow, { scope: 'x'.repeat(65_536) }), {
    status: 413,
    body: { error: 'invalid_request' },
  })
  t.same(await contentsOf(store, [narrow]), before)
  t.match(await refresh(alice, narrow), { status: 200, body: { scope: 'notes:read' } }, 'control')

  const wide = await startGrant(alice)
  const some = await refresh(alice, wide.refresh, { scope: 'notes:write' })
  t.match(some, { status: 200, body: { scope: 'notes:write' } })
  const { access, refresh: next } = tokensOf(some)
  t.equal(claimsOf(access).scope, 'notes:write')
  t.match(await alice.get('/api/notes', access), { status: 403, body: { reason: 'scope_missing' } })
  t.match(
    await refresh(alice, next),
    { status: 200, body: { scope: 'notes:read notes:write' } },
    'the grant keeps its scope',
  )
})

t.test('changes nothing in a refresh for a scope, target or level that is not available', async t => {
  const { refresh: token } = await startGrant(alice)
  const before = await contentsOf(store, [token])
  const writes = calls.length
  const wishes: [Record<string, string>, string][] = [
    [{ token_binding: 'none' }, 'binding_not_allowed'],
    [{ token_binding: 'proof' }, 'binding_not_allowed'],
    [{ resource: 'https://evil.example' }, 'target_unknown'],
    [{ client_secret: 'x' }, 'malformed_request'],
    [{ client_assertion: 'x' }, 'malformed_request'],
    [{ grant_type: 'Refresh_token' }, 'grant_type_unsupported'],
    [{ grant_type: 'password' }, 'grant_type_unsupported'],
  ]
  for (const [wish, reason] of wishes)
    t.match(await refresh(alice, token, wish), { status: 400, body: { reason } }, JSON.stringify(wish))
  // 1 is OpenSSL's SSL_OP_NO_EXTENDED_MASTER_SECRET, for which Node has no name.
  const poor = await server.connect('alice', { maxVersion: 'TLSv1.2', secureOptions: 1 })
  t.match(await refresh(poor, token), { status: 400, body: { reason: 'binding_unavailable' } })
  t.same(await contentsOf(store, [token]), before)
  t.notOk(calls.slice(writes).includes('rotateRefreshToken'))
  const weak = await refresh(poor, token, { token_binding: 'certificate' })
  t.match(weak, { status: 200, body: { token_binding: 'certificate' } })
  const { access, refresh: next } = tokensOf(weak)
  t.match(await alice.get('/api/whoami', access), { status: 200 })
  t.match(await refresh(alice, next), { status: 200, body: { token_binding: 'connection' } }, 'the grant keeps its own')
})

t.test('issues refresh tokens only to clients registered for them (N-39)', async t => {
  const carol = await server.connect(named('carol'), { clientId: 'carol' })
  const answer = await carol.requestToken()
  t.match(answer, { status: 200 })
  t.notOk('refresh_token' in answer.body)
  t.notOk('grant' in claimsOf(answer.body.access_token))
})

t.test('writes no refresh token and no hash of one to any output (I4)', async t => {
  const { refresh: token } = await startGrant(alice)
  const next = tokensOf(await refresh(alice, token)).refresh
  t.match(await refresh(alice, token), { status: 200 }, 'a retry')
  t.match(await refresh(alice, next), { status: 200 })
  t.match(await refresh(alice, token), { status: 400 })
  const written = JSON.stringify(server.events) + server.log.join('')
  t.match(server.events.at(-1), { event: 'token.refused', reason: 'refresh_reused' })
  for (const secret of [token, next])
    for (const text of [secret, secret.slice(12, 40), hashOpaqueToken(secret)]) t.notOk(written.includes(text))
  t.notOk(/tlsbound_(rt|at)_/.test(written))
})
