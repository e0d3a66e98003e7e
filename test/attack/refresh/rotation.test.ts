// Successive uses of one refresh token: a next token, a retry, a theft, and the end of the grant, which none of them moves.
// OA09, OA15, RE09, N-42, N-43, RFC 9700 §4.14.
import t from 'tap'
import { judgeRefresh, raceWindow, retryWindow } from '../../../src/core/refresh-token.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { claimsOf, contentsOf, refresh, register, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const clients = [register('alice'), register('bob', { refresh_token_rotation: 'static' })]
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

t.test('accepts a retry two seconds after a lost response, and invalidates the lost tokens', async t => {
  const first = await startGrant(alice)
  const lost = tokensOf(await refresh(alice, first.refresh))
  t.match(await refresh(alice, first.refresh), refused('refresh_reused'), 'immediately, it is a race')
  server.clock += 2
  const again = await refresh(alice, first.refresh)
  t.match(again, { status: 200, body: { refresh_token: String } })
  const next = tokensOf(again)
  t.not(next.refresh, lost.refresh)
  t.match(await alice.get('/api/whoami', next.access), { status: 200 })
  t.match(await alice.get('/api/whoami', lost.access), { status: 200 }, 'one grant, no theft yet')
  t.same(eventsOf(first.access, 'refresh.reused'), [])
  t.match(eventsOf(first.access, 'refresh.rotated'), [{ how: 'rotated' }, { how: 'retried' }])

  server.clock += 2
  t.match(await refresh(alice, lost.refresh), refused('refresh_reused'), 'the lost token was received by another party')
  t.match(eventsOf(first.access, 'refresh.reused'), [{ outcome: 'refused', client_id: 'alice', peer: '127.0.0.1' }])
  for (const { access } of [first, lost, next])
    t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
  for (const token of [first.refresh, lost.refresh, next.refresh])
    t.match(await refresh(alice, token), refused('refresh_revoked'))
  t.equal(eventsOf(first.access, 'refresh.reused').length, 1, 'reported once')
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
    if (jump <= 0) t.match(await refresh(alice, last), { status: 200 }, 'the current token still works')
    else t.match(await refresh(alice, last), refused('refresh_revoked'), 'a late reuse ends the grant')
    server.clock = home
  }
})

t.test('applies the reuse rule to the millisecond', async t => {
  const facts = { rotation: 'rotate', expires: 1000, revoked: false, superseded: false, successorUsed: false } as const
  const used = { first: 500_000, latest: 500_000 }
  const rows: [string, Partial<Parameters<typeof judgeRefresh>[0]>, number, string][] = [
    ['unused', { used: undefined }, 0, 'rotated'],
    ['unused, last moment', { used: undefined }, 999_999, 'rotated'],
    ['at the end', { used: undefined }, 1_000_000, 'expired'],
    ['static, at the end', { used: undefined, rotation: 'static' }, 1_000_000, 'expired'],
    ['static, used', { rotation: 'static', successorUsed: true }, 600_000, 'static'],
    ['revoked, in any state', { revoked: true, rotation: 'static' }, 2_000_000, 'revoked'],
    ['superseded, though unused', { superseded: true, used: undefined }, 500_000, 'reused'],
    ['at once', {}, 500_000, 'raced'],
    ['within the race', {}, 500_000 + raceWindow - 1, 'raced'],
    ['after the race', {}, 500_000 + raceWindow, 'retried'],
    ['the end of the retries', {}, 500_000 + retryWindow - 1, 'retried'],
    ['after the retries', {}, 500_000 + retryWindow, 'reused'],
    ['after its successor was used', { successorUsed: true }, 502_000, 'reused'],
    ['raced, after its successor was used', { successorUsed: true }, 500_001, 'raced'],
    ['a race with a retry', { used: { first: 500_000, latest: 510_000 } }, 510_999, 'raced'],
    ['a slow clock', {}, 0, 'raced'],
  ]
  for (const [name, changes, now, outcome] of rows)
    t.equal(judgeRefresh({ ...facts, used, ...changes }, now), outcome, name)
})
