// Revoking invalid, dead or revoked tokens gets the response of a success and changes nothing. OA23, DS12, N-50; counted at a
// real store.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { afterlife } from '../../../src/core/revocations.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { claimsFor, forgeToken } from '../../helpers/tokens/forge-token.ts'
import { contentsOf, refresh, register, revoke, startGrant, tokensOf, watchStore } from '../../helpers/tokens/grants.ts'

const { store, calls } = watchStore(openSqlite(':memory:'))
const clients = [register('alice'), register('bob', { access_token_format: 'opaque' })]
const server = await startTestServer({ clients, store, env: { TLSBOUND_REFRESH_TOKEN_LIFETIME: '600' } })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const done = { status: 200, text: '' }
const writesSince = (since: number) =>
  calls.slice(since).filter(name => !/^(find|list|follow|removeExpired)/.test(name))

t.test('stores nothing for thousands of revocations of garbage and expired tokens (OA23, N-50)', async t => {
  const control = await startGrant(alice)
  const [signed, opaque] = [await startGrant(alice), await startGrant(bob)]
  const later = 901 + afterlife // an access token of the grant could be valid until then
  server.clock += later
  const foreign = forgeToken({ jwk: await generateTokenKey('ES256'), claims: claimsFor(alice, server) })
  const kinds = [
    () => randomBytes(20).toString('hex'),
    () => buildOpaqueToken('rt', randomBytes(32)),
    () => buildOpaqueToken('at', randomBytes(32)),
    () => `${signed.access.slice(0, -8)}${randomBytes(6).toString('base64url')}`,
    () => foreign,
    () => signed.access,
    () => signed.refresh,
    () => opaque.access,
    () => opaque.refresh,
    () => "x' OR 1=1 --\u0001",
    () => 'e30.e30.e30',
  ]
  const before = { contents: await contentsOf(store, [signed.refresh, opaque.access]), calls: calls.length }
  const events = server.events.length
  const statuses = new Set<number>()
  for (let round = 0; round < 60; round++) {
    const answers = kinds.flatMap(kind => [revoke(alice, kind()), revoke(bob, kind(), 'bob')])
    for (const { status, text } of await Promise.all(answers)) statuses.add(text === '' ? status : -1)
  }
  t.same([...statuses], [200])
  t.same(writesSince(before.calls), [])
  t.same(await contentsOf(store, [signed.refresh, opaque.access]), before.contents)
  t.same(server.events.slice(events), [], 'no change, no event')

  server.clock -= later
  const since = calls.length
  t.match(await revoke(alice, control.access), done)
  t.same(writesSince(since), ['revoke'], 'control: a valid token is stored as revoked')
})

t.test('makes no query to the store for malformed tokens', async t => {
  const before = calls.length
  const good = buildOpaqueToken('rt', randomBytes(32))
  for (const token of ['x', 'e30.e30.e30', `${good}0`, good.replace('_rt_', '_at_'), good.toLowerCase(), '\u0001'])
    t.match(await revoke(alice, token), done, JSON.stringify(token))
  t.same(calls.slice(before), [])
  t.match(await revoke(alice, good), done)
  t.same(calls.slice(before), ['findRefreshToken'], 'control')
})

t.test('stores and records no second revocation of the same token', async t => {
  for (const [who, connection] of [
    ['alice', alice],
    ['bob', bob],
  ] as const) {
    const chain = [await startGrant(connection)]
    chain.push(tokensOf(await refresh(connection, chain[0]?.refresh as string)))
    const rows: [string, string][] = [
      ['an access token', chain[0]?.access as string],
      ['a refresh token', chain[1]?.refresh as string],
      ['another refresh token of the grant', chain[0]?.refresh as string],
      ['another access token of the grant', chain[1]?.access as string],
    ]
    for (const [index, [name, token]] of rows.entries()) {
      if (index < 2) t.match(await revoke(connection, token, who), done, `${who}, ${name}`)
      const before = { calls: calls.length, events: server.events.length, contents: await contentsOf(store) }
      for (let again = 0; again < 5; again++) t.match(await revoke(connection, token, who), done)
      t.same(writesSince(before.calls), [], `${who}, ${name}, again`)
      t.same(server.events.slice(before.events), [])
      t.same(await contentsOf(store), before.contents)
    }
  }
})
