// Successive uses of one refresh token: a next token, a retry, a reuse, and the end of the grant, which none of them moves.
// OA09, OA15, RE09, N-42, N-43, RFC 9700 §4.14.
import t from 'tap'
import { judgeRefresh, retryWindow } from '../../../src/core/refresh-token.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { claimsOf, contentsOf, refresh, register, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const strict = { theft_response: 'revoke_grant' }
const clients = [register('alice', strict), register('bob', { refresh_token_rotation: 'static' }), register('carol')]
const server = await startTestServer({ clients, env: { TLSBOUND_REFRESH_TOKEN_LIFETIME: '900' } })
t.teardown(() => server.close())
const day = 86_400_000
/** Her certificate is valid for years, so that the clock can be set. */
const lasting = issueCertificate({
  subject: [['CN', 'alice']],
  issuer: server.pki.ca,
  extendedKeyUsage: ['clientAuth'],
  notBefore: new Date(Date.now() - 500 * day),
  notAfter: new Date(Date.now() + 500 * day),
})
const alice = await server.connect(lasting)
const bob = await server.connect('bob')
const refused = (reason: string) => ({ status: 400, body: { error: 'invalid_grant', reason } })
const eventsOf = (token: string, event: string) => {
  const { grant } = claimsOf(token)
  return server.events.filter(one => one.event === event && one.grant === grant)
}

t.test('gives the same successor to a retry after a lost response, and accepts it once', async t => {
  const first = await startGrant(alice)
  const lost = tokensOf(await refresh(alice, first.refresh))
  for (const wait of [0, 2, 30, 27]) {
    server.clock += wait
    const again = tokensOf(await refresh(alice, first.refresh))
    t.equal(again.refresh, lost.refresh, `after ${wait} s more`)
    t.not(again.access, lost.access, 'with an access token of its own')
    t.match(await alice.get('/api/whoami', again.access), { status: 200 })
  }
  t.match(await alice.get('/api/whoami', lost.access), { status: 200 }, 'the first one stays valid')
  t.same(eventsOf(first.access, 'refresh.reused'), [])
  t.match(eventsOf(first.access, 'refresh.rotated'), [{ how: 'rotated' }, ...Array(4).fill({ how: 'retried' })])
  const narrow = await refresh(alice, first.refresh, { scope: 'notes:read' })
  t.match(narrow, { status: 200, body: { scope: 'notes:read', refresh_token: lost.refresh } }, 'another scope')
  const elsewhere = await server.connect(lasting)
  const there = tokensOf(await refresh(elsewhere, first.refresh))
  t.match(await elsewhere.get('/api/whoami', there.access), { status: 200 }, 'bound to its own connection')
  t.match(await alice.get('/api/whoami', there.access), { status: 401, body: { reason: 'connection_mismatch' } })

  t.match(await refresh(alice, lost.refresh), { status: 200 })
  t.match(await refresh(alice, first.refresh), refused('refresh_reused'), 'its successor was used')
})

t.test('refuses a reused token, and leaves the grant to the theft_response of its client (N-42)', async t => {
  const carols = issueCertificate({
    subject: [['CN', 'carol']],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
  })
  const carol = await server.connect(carols, { clientId: 'carol' })
  for (const [connection, isRevoked] of [
    [carol, false],
    [alice, true],
  ] as const) {
    const first = await startGrant(connection)
    const next = tokensOf(await refresh(connection, first.refresh))
    const last = tokensOf(await refresh(connection, next.refresh))
    t.match(await refresh(connection, first.refresh), refused('refresh_reused'))
    t.match(eventsOf(first.access, 'refresh.reused'), [
      { outcome: 'refused', detail: 'reused', grant_revoked: isRevoked },
    ])
    if (isRevoked) t.match(await refresh(connection, last.refresh), refused('refresh_revoked'))
    else t.match(await refresh(connection, last.refresh), { status: 200 }, 'the last token works')
  }
})

t.test('refuses a token whose sealed successor was altered in the store, and keeps the grant', async t => {
  const store = openSqlite(':memory:')
  const { rotateRefreshToken } = store
  const altered = (sealed: string) => (sealed[40] === 'A' ? 'B' : 'A') + sealed.slice(1)
  store.rotateRefreshToken = async (...use) => {
    const found = await rotateRefreshToken(...use)
    return found.outcome === 'retried' ? { ...found, sealed: altered(found.sealed) } : found
  }
  const own = await startTestServer({ clients, store })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const first = await startGrant(connection)
  const next = tokensOf(await refresh(connection, first.refresh))
  t.match(await refresh(connection, first.refresh), refused('refresh_reused'))
  t.match(own.events.at(-1), { event: 'token.refused', detail: 'answer_lost', facts: { grant_revoked: 'no' } })
  t.notOk(own.events.some(({ event }) => event === 'refresh.reused'))
  t.match(await refresh(connection, next.refresh), { status: 200 })
})

t.test('ends the whole grant when a token is used again after its successor was used (OA09, N-42)', async t => {
  for (const wait of [2, 30, 61]) {
    const other = await startGrant(alice)
    const chain = [await startGrant(alice)]
    for (let use = 0; use < 3; use++) {
      chain.push(tokensOf(await refresh(alice, chain.at(-1)?.refresh as string)))
      server.clock += wait
    }
    for (const { access } of chain) t.match(await alice.get('/api/whoami', access), { status: 200 })
    const before = server.events.length
    t.match(await refresh(alice, chain[1]?.refresh as string), refused('refresh_reused'), `after ${wait} s`)
    t.match(server.events.slice(before), [
      {
        event: 'refresh.reused',
        outcome: 'refused',
        client_id: 'alice',
        grant: claimsOf(chain[0]?.access as string).grant,
      },
      { event: 'token.refused', reason: 'refresh_reused', status: 400, client_id: 'alice' },
    ])
    t.equal(server.events.length, before + 2)
    const elsewhere = await server.connect(lasting)
    for (const { access, refresh: token } of chain) {
      t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
      t.match(await refresh(elsewhere, token), refused('refresh_revoked'))
    }
    t.equal(eventsOf(chain[0]?.access as string, 'refresh.reused').length, 1, 'exactly one')
    t.match(await alice.get('/api/whoami', other.access), { status: 200 }, 'another grant of the client stays valid')
    t.match(await refresh(alice, other.refresh), { status: 200 })
  }
})

t.test('refuses a retry more than a minute after the first use', async t => {
  const { access, refresh: token } = await startGrant(alice)
  t.match(await refresh(alice, token), { status: 200 })
  for (const wait of [29, 30]) {
    server.clock += wait
    t.match(await refresh(alice, token), { status: 200 }, 'a retry does not restart the minute')
  }
  server.clock += 1
  t.match(await refresh(alice, token), refused('refresh_reused'))
  t.equal(eventsOf(access, 'refresh.reused').length, 1)
})

t.test('accepts the same refresh token repeatedly with static rotation, until its grant ends (N-43)', async t => {
  const { access, refresh: token } = await startGrant(bob)
  for (let use = 0; use < 5; use++) {
    const answer = await refresh(bob, token)
    t.match(answer, { status: 200, body: { refresh_token: token } })
    t.match(await bob.get('/api/whoami', answer.body.access_token), { status: 200 })
  }
  const all = await Promise.all(Array.from({ length: 20 }, () => refresh(bob, token)))
  t.same([...new Set(all.map(({ status }) => status))], [200], 'concurrently too')
  t.equal(eventsOf(access, 'refresh.rotated').length, 25)
  server.clock += 899
  t.match(await refresh(bob, token), { status: 200 })
  server.clock += 1
  t.match(await refresh(bob, token), refused('refresh_expired'))
  server.clock -= 1
  await server.store.revoke({ kind: 'grant', value: claimsOf(access).grant, notBefore: 0, expires: server.clock + 60 })
  t.match(await refresh(bob, token), refused('refresh_revoked'))
})

t.test('never extends a grant by rotation (OA15)', async t => {
  const first = await startGrant(alice)
  const end = server.clock + 900
  let { refresh: token } = first
  let rotations = 0
  for (; rotations < 100; rotations++) {
    const answer = await refresh(alice, token)
    if (answer.status !== 200) break
    token = answer.body.refresh_token
    server.clock += 9
  }
  t.equal(rotations, 100)
  t.equal(server.clock, end)
  const before = await contentsOf(server.store, [token, first.refresh])
  for (const later of [0, 1, 3600, 400 * 86_400]) {
    server.clock = end + later
    t.match(await refresh(alice, token), refused('refresh_expired'), `${later} s after the end`)
  }
  server.clock = end
  t.same(await contentsOf(server.store, [token, first.refresh]), before)
  server.clock = end - 1
  t.match(await refresh(alice, token), { status: 200 }, 'control: valid a second before the end')
})

t.test('allows no second use when the clock is set back or forward (RE09)', async t => {
  const home = server.clock
  for (const jump of [-7200, -1, 0, 800]) {
    const { refresh: token } = await startGrant(alice)
    const { refresh: next } = tokensOf(await refresh(alice, token))
    const { refresh: last } = tokensOf(await refresh(alice, next))
    server.clock += jump
    t.match(await refresh(alice, token), refused('refresh_reused'), `${jump} s`)
    t.match(await refresh(alice, last), refused('refresh_revoked'), 'a reuse ends the grant')
    server.clock = home
  }
})

t.test('applies the reuse rule to the millisecond', async t => {
  const facts = { rotation: 'rotate', expires: 1000, revoked: false, used: undefined } as const
  const used = (successor: 'sealed' | 'used' | 'gone') => ({ ...facts, used: { first: 500_000, successor } })
  const rows: [string, Parameters<typeof judgeRefresh>[0], number, string][] = [
    ['unused', facts, 0, 'rotated'],
    ['unused, last moment', facts, 999_999, 'rotated'],
    ['at the end', facts, 1_000_000, 'expired'],
    ['static, at the end', { ...facts, rotation: 'static' }, 1_000_000, 'expired'],
    ['static, used', { ...used('used'), rotation: 'static' }, 600_000, 'static'],
    ['revoked, in any state', { ...used('sealed'), revoked: true, rotation: 'static' }, 2_000_000, 'revoked'],
    ['at once', used('sealed'), 500_000, 'retried'],
    ['the end of the retries', used('sealed'), 500_000 + retryWindow - 1, 'retried'],
    ['after the retries', used('sealed'), 500_000 + retryWindow, 'reused'],
    ['after its successor was used', used('used'), 500_000, 'reused'],
    ['without a sealed copy', used('gone'), 500_001, 'reused'],
    ['a slow clock', used('sealed'), 0, 'retried'],
    ['a slow clock, after its successor was used', used('used'), 0, 'reused'],
  ]
  for (const [name, facts, now, outcome] of rows) t.equal(judgeRefresh(facts, now), outcome, name)
})
