// A server's state in memory: it follows a real store, distrusts it after a long silence, and removes expired records every
// minute. I5, I8, RE04, RE09, DS12, OA21. The timer is mocked, so that no test waits for it.
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { AccessTokenClaims } from '../../src/core/access-token.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { followStore } from '../../src/server/state.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { register } from '../helpers/tokens/grants.ts'

const start = Math.floor(Date.now() / 1000)
const claims = (jti: string, changes: Partial<AccessTokenClaims> = {}): AccessTokenClaims => ({
  ...{ iss: 'i', sub: 'alice', aud: 'a', client_id: 'alice', scope: '', jti, iat: start, exp: start + 300 },
  cnf: { 'x5t#S256': 'x' },
  ...changes,
})
const token = (value: string, expires = start + 300) => ({ kind: 'token', value, notBefore: start, expires }) as const
const silent = { name: 'OAuthError', code: 'temporarily_unavailable', reason: 'store_unavailable' }

mock.timers.enable({ apis: ['setInterval'] })
t.teardown(() => mock.timers.reset())

/** A state over a real store, with a settable `clock` and a timer that tests can run. */
async function follow(t: Test, store: Store = openSqlite(':memory:')) {
  const time = { now: start }
  const clients = new ClientRegistry([register('alice')])
  const state = await followStore(store, clients, () => time.now)
  t.teardown(async () => {
    state.stop()
    await store.close()
  })
  const sweep = async () => {
    mock.timers.tick(10_000)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  }
  return { store, clients, state, time, sweep }
}

t.test('knows the store’s content after the start, and each change once its call is answered', async t => {
  const store = openSqlite(':memory:')
  await store.revoke(token('early'))
  await store.putClient('bob', JSON.stringify(register('bob')))
  const { clients, state } = await follow(t, store)
  t.equal(state.isRevoked(claims('early')), true)
  t.equal(state.isRevoked(claims('late')), false)
  t.equal(clients.get('bob')?.origin, 'store')

  await store.revoke(token('late'))
  t.equal(state.isRevoked(claims('late')), true)
  await store.revoke({ kind: 'grant', value: 'g', notBefore: start, expires: start + 300 })
  t.equal(state.isRevoked(claims('other', { grant: 'g' })), true)
  await store.disableClient('alice', JSON.stringify(register('alice')))
  t.equal(clients.get('alice')?.disabled, true)
  t.equal(state.isRevoked(claims('hers')), true, 'the tokens of a disabled client are revoked')
  await store.removeClient('alice')
  t.equal(clients.get('alice')?.disabled, false)
  t.equal(state.isRevoked(claims('hers')), false)
  t.equal(state.isRevoked(claims('hers', { client_id: 'carol' })), true, 'so are those of an unregistered client')
  await store.putSecret('alice', 'one', 'hash')
  t.same(clients.get('alice')?.secrets, [{ id: 'one', hash: 'hash' }])
})

t.test('starts despite an unreadable record, and applies later changes', async t => {
  const store = openSqlite(':memory:')
  await store.putClient('alice', '{')
  const { clients, state } = await follow(t, store)
  t.equal(clients.get('alice')?.disabled, true)
  await store.putClient('bob', 'null')
  await store.revoke(token('next'))
  t.equal(state.isRevoked(claims('next')), true)
})

t.test('refuses all decisions after five seconds of silence, until the store responds again (I8)', async t => {
  let silence = 0
  const { state } = await follow(t, { ...openSqlite(':memory:'), millisecondsSinceSync: () => silence })
  for (const good of [0, 4999, 5000]) {
    silence = good
    t.doesNotThrow(() => state.requireSync(), `${good} ms`)
    t.equal(state.isRevoked(claims('j')), false)
  }
  for (const bad of [5001, 60_000, Number.POSITIVE_INFINITY]) {
    silence = bad
    t.throws(() => state.requireSync(), silent, `${bad} ms`)
    t.throws(() => state.isRevoked(claims('j')), silent)
  }
  silence = 0
  t.equal(state.isRevoked(claims('j')), false)
})

t.test('does not start with an unresponsive store', async t => {
  const store = openSqlite(':memory:')
  await store.close()
  await t.rejects(
    followStore(store, new ClientRegistry([]), () => start),
    silent,
  )
})

t.test('removes expired records from memory and store in steps, and keeps all others (DS12)', async t => {
  const { store, state, sweep } = await follow(t)
  for (let each = 0; each < 1200; each++) await store.keepAccessToken(`old ${each}`, '{}', start - 100)
  await store.keepAccessToken('good', '{}', start + 100)
  await store.revoke(token('old', start - 100))
  await store.revoke(token('good'))
  t.equal(state.isRevoked(claims('old')), true)
  await sweep()
  t.equal(state.isRevoked(claims('old')), false)
  t.equal(state.isRevoked(claims('good')), true)
  t.same(await Promise.all(['old 0', 'old 1199', 'good'].map(hash => store.findAccessToken(hash))), [
    undefined,
    undefined,
    '{}',
  ])
  t.equal(await store.removeExpired(start, 10_000), 0, 'nothing is left')
})

t.test('survives a failed removal, and the next one succeeds', async t => {
  const real = openSqlite(':memory:')
  const broken = openSqlite(':memory:')
  await broken.close()
  let failing = true
  const removeExpired: Store['removeExpired'] = (...values) => (failing ? broken : real).removeExpired(...values)
  const { store, sweep } = await follow(t, { ...real, removeExpired })
  await store.keepAccessToken('old', '{}', start - 100)
  await sweep()
  t.equal(await store.findAccessToken('old'), '{}')
  failing = false
  await sweep()
  t.equal(await store.findAccessToken('old'), undefined)
})

t.test('accepts no revoked token after the clock was set far ahead and back (RE09)', async t => {
  const { store, state, time, sweep } = await follow(t)
  await store.revoke(token('stolen'))
  t.equal(state.isRevoked(claims('stolen')), true)
  for (const jump of [7200, 400 * 86_400]) {
    time.now = start + jump
    await sweep()
    time.now = start
    t.equal(state.isRevoked(claims('stolen')), true, `${jump} s ahead`)
    const told: unknown[] = []
    const stop = await store.follow(change => void told.push(change))
    stop()
    t.match(told, [{ revocation: { value: 'stolen' } }], 'a server that starts later would refuse it as well')
  }
})

t.test('applies and removes nothing after it was stopped', async t => {
  const { store, state, sweep } = await follow(t)
  await store.keepAccessToken('old', '{}', start - 100)
  state.stop()
  await store.revoke(token('late'))
  t.equal(state.isRevoked(claims('late')), false)
  await sweep()
  t.equal(await store.findAccessToken('old'), '{}')
})
