// A server that restarts on the same state: revoked and used tokens stay so, valid ones stay valid. RE01 (kill -9:
// servers/crash-recovery), RE11, RE17, OA21, I5, I6.
import t from 'tap'
import { afterlife, buildRevocation } from '../../../src/core/revocations.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { refresh, register, revoke, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const pki = makeDemoPki()
const strict = { theft_response: 'revoke_grant' }
const clients = [register('alice', strict), register('bob', { ...strict, access_token_format: 'opaque' })]
const [first, second] = await Promise.all([generateTokenKey('ES256'), generateTokenKey('ES256')])
const wish = { token_binding: 'certificate' }
const clock = Math.floor(Date.now() / 1000)
const start = async (file: string, signingKeys = [first]) => {
  const server = await startTestServer({ pki, clients, signingKeys, store: openSqlite(file) })
  server.clock = clock
  return server
}

t.test('keeps valid tokens valid and revoked tokens revoked across a restart, also with new keys', async t => {
  const file = `${t.testdir()}/state.db`
  const before = await start(file)
  const rows = await Promise.all(
    (['alice', 'bob'] as const).map(async who => {
      const connection = await before.connect(who)
      const [good, token, grant, stolen, used] = await Promise.all(
        Array.from({ length: 5 }, () => startGrant(connection, wish)),
      )
      if (!good || !token || !grant || !stolen || !used) throw new Error('nothing was issued')
      t.match(await revoke(connection, token.access, who), { status: 200 })
      t.match(await revoke(connection, grant.refresh, who), { status: 200 })
      const next = tokensOf(await refresh(connection, used.refresh, wish))
      const last = tokensOf(await refresh(connection, next.refresh, wish))
      const thief = tokensOf(await refresh(connection, stolen.refresh, wish))
      await refresh(connection, thief.refresh, wish)
      return { who, good, token, grant, stolen, thief, used, last }
    }),
  )
  before.clock += 61
  for (const { who, stolen } of rows)
    t.match(await refresh(await before.connect(who), stolen.refresh), { body: { reason: 'refresh_reused' } })
  await before.close()

  // RE11: the next key signs, the one before it still verifies.
  const after = await start(file, [second, first])
  t.teardown(() => after.close())
  for (const { who, good, token, grant, stolen, thief, used, last } of rows) {
    const connection = await after.connect(who)
    t.match(await connection.get('/api/whoami', good.access), { status: 200, body: { client_id: who } }, who)
    const again = tokensOf(await refresh(connection, good.refresh, wish))
    t.match(await connection.get('/api/whoami', again.access), { status: 200 })
    t.match(await connection.get('/api/whoami', good.access), { status: 200 }, 'both keys are published')
    for (const { access } of [token, grant, stolen, thief])
      t.match(await connection.get('/api/whoami', access), refusal('revoked'))
    for (const dead of [grant.refresh, stolen.refresh, thief.refresh])
      t.match(await refresh(connection, dead), { status: 400, body: { reason: 'refresh_revoked' } })
    t.match(await refresh(connection, token.refresh, wish), { status: 200 }, 'only its access token was revoked')
    t.match(
      await refresh(connection, used.refresh),
      { status: 400, body: { reason: 'refresh_reused' } },
      'a used token stays used',
    )
    t.match(await connection.get('/api/whoami', last.access), refusal('revoked'), 'and revokes its grant')
    after.clock = clock
  }
})

t.test('keeps disabled, changed and secret-protected clients across a restart', async t => {
  const file = `${t.testdir()}/state.db`
  const before = await start(file)
  await before.store.disableClient('alice', JSON.stringify(register('alice')))
  await before.store.putClient('bob', JSON.stringify(register('bob', { scope: 'notes:read' })))
  await before.close()
  const after = await start(file)
  t.teardown(() => after.close())
  t.match(await (await after.connect('alice')).requestToken(), refusal('client_disabled', 'invalid_client'))
  t.match(await (await after.connect('bob')).requestToken(), { status: 200, body: { scope: 'notes:read' } })
  await after.store.enableClient('alice')
  t.match(await (await after.connect('alice')).requestToken(), { status: 200 }, 'control')
})

/** A server with the state in `file`, and lifetimes of access tokens and grants in seconds. */
const startWith = async (file: string, access: number, grant: number) => {
  const env = { TLSBOUND_ACCESS_TOKEN_LIFETIME: String(access), TLSBOUND_REFRESH_TOKEN_LIFETIME: String(grant) }
  const server = await startTestServer({ pki, clients, signingKeys: [first], store: openSqlite(file), env })
  server.clock = clock
  return server
}

t.test('ends the access tokens of a revoked grant, whatever the lifetimes are by then', async t => {
  for (const [name, meanwhile] of [
    ['the grant has just ended', async () => {}],
    [
      'the grant has been swept',
      async ({ store, clock }) => {
        while ((await store.removeExpired(clock, 500)) > 0);
      },
    ],
  ] as [string, (server: Awaited<ReturnType<typeof startWith>>) => Promise<void>][])
    await t.test(name, async t => {
      const file = `${t.testdir()}/state.db`
      const before = await startWith(file, 600, 100)
      const [alice, bob] = [await before.connect('alice'), await before.connect('bob')]
      const [hers, his, other] = [
        await startGrant(alice, wish),
        await startGrant(bob, wish),
        await startGrant(alice, wish),
      ]
      await before.close()
      const after = await startWith(file, 1, 1)
      t.teardown(() => after.close())
      after.clock += 150
      await meanwhile(after)
      for (const [who, { access, refresh: token }] of [
        ['alice', hers],
        ['bob', his],
      ] as const) {
        const connection = await after.connect(who)
        t.match(await connection.get('/api/whoami', access), { status: 200 }, 'control: it is valid')
        t.match(await revoke(connection, token, who), { status: 200 })
        t.match(await connection.get('/api/whoami', access), refusal('revoked'), who)
      }
      const again = await after.connect('alice')
      t.match(await again.get('/api/whoami', other.access), { status: 200 }, 'another grant is untouched')
      const events = after.events.length
      after.clock += afterlife
      t.match(await revoke(again, other.refresh), { status: 200 })
      t.equal(after.events.length, events, 'no record stays of a grant without valid tokens')
    })
})

t.test('remembers a revocation after lifetimes were lowered and expired records were removed', async t => {
  const file = `${t.testdir()}/state.db`
  const before = await startWith(file, 80_000, 2_000_000)
  const alice = await before.connect('alice')
  const [grant, swept] = [await startGrant(alice, wish), await startGrant(alice, wish)]
  await before.close()
  let server = await startWith(file, 1, 1)
  t.teardown(() => server.close())
  t.match(await revoke(await server.connect('alice'), grant.refresh), { status: 200 })
  const kinds = [
    ['client', 'alice'],
    ['all', ''],
  ] as const
  for (const [kind, value] of kinds) await server.store.revoke(buildRevocation(kind, value, server.clock))
  for (const later of [79_000, 1_900_000]) {
    while ((await server.store.removeExpired(clock + later, 500)) > 0);
    await server.close()
    server = await startWith(file, 1, 1)
    server.clock = clock + later
    const again = await server.connect('alice')
    for (const { access, refresh: token } of [grant, swept]) {
      if (later < 80_000) t.match(await again.get('/api/whoami', access), refusal('revoked'), `${later} s later`)
      t.match(await refresh(again, token), { body: { reason: 'refresh_revoked' } }, `${later} s later`)
    }
  }
})

t.test('does not start a second server on the same file, and keeps the first one running (RE17)', async t => {
  const file = `${t.testdir()}/state.db`
  const server = await start(file)
  t.teardown(() => server.close())
  const alice = await server.connect('alice')
  const { refresh: token } = await startGrant(alice)
  t.throws(() => openSqlite(file), { message: /is in use by another process/ })
  t.match(await refresh(alice, token), { status: 200 })
})
