// A store that fails, is full or does not respond: 503 with Retry-After, no partial change, and recovery. I2, I8, RE04, N-50.
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { hashOpaqueToken } from '../../../src/core/opaque-token.ts'
import { openSuccessor } from '../../../src/core/sealed-successor.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import {
  contentsOf,
  introspect,
  refresh,
  register,
  revoke,
  startGrant,
  type Tokens,
  tokensOf,
  watchStore,
} from '../../helpers/tokens/grants.ts'

const clients = [
  register('alice'),
  register('bob', { access_token_format: 'opaque' }),
  register('carol', { grant_types: ['client_credentials'] }),
  register('api', { resource: 'https://localhost:8443' }),
]
const unavailable = {
  status: 503,
  headers: { 'retry-after': /^[1-9]\d?$/, 'cache-control': 'no-store' },
  body: { error: 'temporarily_unavailable', reason: 'store_unavailable' },
}
const named = (server: Awaited<ReturnType<typeof startTestServer>>, name: string) =>
  issueCertificate({ subject: [['CN', name]], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] })

t.test('answers 503 to requests that need an unavailable store, each with one event and its cause (RE04)', async t => {
  const server = await startTestServer({ clients })
  t.teardown(() => server.close())
  const [alice, bob, second] = [await server.connect('alice'), await server.connect('bob'), await server.connect('bob')]
  const carol = await server.connect(named(server, 'carol'), { clientId: 'carol' })
  const api = await server.connect(named(server, 'api'), { clientId: 'api' })
  const wish = { token_binding: 'certificate' }
  const [signed, opaque] = [await startGrant(alice, wish), await startGrant(bob, wish)]
  t.match(await alice.get('/api/whoami', signed.access), { status: 200 })
  t.match(await bob.get('/api/whoami', opaque.access), { status: 200 })

  await server.store.close()
  const needy = {
    'a refresh': () => refresh(alice, signed.refresh),
    'a grant': () => alice.requestToken(),
    'an opaque token': () => bob.requestToken(),
    'a revocation (N-50)': () => revoke(alice, signed.access),
    'a revocation of a refresh token': () => revoke(alice, signed.refresh),
    'a revocation of an opaque token': () => revoke(bob, opaque.access, 'bob'),
    'an introspection of an opaque token': () => introspect(api, opaque.access),
    'an opaque token on a connection that does not remember it': () => second.get('/api/whoami', opaque.access),
  }
  for (const [name, ask] of Object.entries(needy)) {
    const before = { events: server.events.length, log: server.log.length }
    const answer = await ask()
    t.match(answer, unavailable, name)
    t.equal(answer.headers['www-authenticate'], undefined, 'another token would not help')
    t.match(server.events.slice(before.events), [{ event: 'token.refused', reason: 'store_unavailable', status: 503 }])
    t.equal(server.events.length, before.events + 1)
    const told = server.log.slice(before.log).map(line => JSON.parse(line))
    t.match(
      told,
      [{ msg: 'store_unavailable', level: 50, err: { message: String } }],
      'the error of the store is in the log',
    )
  }
  t.match(await alice.get('/api/whoami', signed.access), { status: 200 }, 'requests without the store succeed')
  t.match(await bob.get('/api/whoami', opaque.access), { status: 200 }, 'a token that this connection remembers')
  t.match(await introspect(api, signed.access), { status: 200, body: { active: true } })
  t.match(await carol.requestToken(), { status: 200 })
  t.match(await revoke(alice, 'garbage'), { status: 200 })
  t.match(await refresh(alice, 'garbage'), { status: 400, body: { reason: 'refresh_unknown' } })
})

t.test('refuses whole requests while the store is full, and accepts their tokens afterwards (RE04)', async t => {
  const store = openSqlite(`${t.testdir()}/state.db`, { maximumPages: 80 })
  const server = await startTestServer({ clients, store })
  t.teardown(() => server.close())
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  const start = (connection: TestConnection) => Promise.all(Array.from({ length: 40 }, () => startGrant(connection)))
  const [signed, opaque] = [await start(alice), await start(bob)]
  for (const size of [3000, 300, 20]) {
    const claims = JSON.stringify('x'.repeat(size))
    for (let full = false; !full; )
      await store.keepAccessToken(randomUUID(), claims, server.clock + 1).catch(() => {
        full = true
      })
  }

  // A record can still fit on a page with free space: of forty uses some succeed.
  const refusedOf = async (connection: TestConnection, grants: readonly Tokens[]) => {
    const refused: Tokens[] = []
    for (const grant of grants) {
      const before = await contentsOf(store, [grant.refresh])
      const answer = await refresh(connection, grant.refresh)
      if (answer.status === 200) continue
      t.match(answer, unavailable)
      if (grants === signed) t.same(await contentsOf(store, [grant.refresh]), before, 'no partial change')
      refused.push(grant)
    }
    t.ok(refused.length > 0, `${refused.length} were refused`)
    return refused
  }
  const [signedLater, opaqueLater] = [await refusedOf(alice, signed), await refusedOf(bob, opaque)]
  t.match(await alice.get('/api/whoami', signed[0]?.access as string), { status: 200 })
  await store.removeExpired(server.clock + 2, 100_000)
  for (const grant of signedLater) t.match(await refresh(alice, grant.refresh), { status: 200 }, 'without a retry')
  server.clock += 2
  for (const grant of opaqueLater) t.match(await refresh(bob, grant.refresh), { status: 200 }, 'as a retry at most')
  t.notOk(server.events.some(({ event }) => event === 'refresh.reused'))
  t.equal(server.log.filter(line => line.includes('unhandled error')).length, 0, 'I2')
})

t.test('answers 503 to a refresh whose opaque token cannot be stored, and accepts a retry (I8)', async t => {
  const [real, broken] = [openSqlite(':memory:'), openSqlite(':memory:')]
  await broken.close()
  let failing = false
  const keepAccessToken: Store['keepAccessToken'] = (...values) => (failing ? broken : real).keepAccessToken(...values)
  const server = await startTestServer({ clients, store: { ...real, keepAccessToken } })
  t.teardown(() => server.close())
  const bob = await server.connect('bob')
  const { refresh: token } = await startGrant(bob)
  failing = true
  t.match(await refresh(bob, token), unavailable)
  failing = false
  server.clock += 2
  const again = await refresh(bob, token)
  t.match(again, { status: 200 })
  t.match(await bob.get('/api/whoami', again.body.access_token), { status: 200 })
  t.notOk(server.events.some(({ event }) => event === 'refresh.reused'))
})

t.test('stores no refresh token, and a sealed successor only until it is used (I4)', async t => {
  const folder = t.testdir()
  const server = await startTestServer({ clients, store: openSqlite(`${folder}/state.db`) })
  const alice = await server.connect('alice')
  const line = [(await startGrant(alice)).refresh]
  for (let use = 0; use < 3; use++) line.push(tokensOf(await refresh(alice, line.at(-1) as string)).refresh)
  await server.close()
  const octets = readdirSync(folder).map(name => readFileSync(`${folder}/${name}`, 'latin1'))
  for (const token of line)
    for (const text of [token, token.slice(12), token.slice(12, 40)])
      t.notOk(octets.some(octets => octets.includes(text)))
  t.ok(
    octets.some(octets => octets.includes(hashOpaqueToken(line[0] as string))),
    'control: their hashes are there',
  )
  const database = new DatabaseSync(`${folder}/state.db`)
  const rows = database.prepare('SELECT hash, sealed FROM refresh_tokens WHERE sealed IS NOT NULL').all()
  database.close()
  const [before, last] = line.slice(-2) as [string, string]
  t.same(
    rows.map(({ hash }) => hash),
    [hashOpaqueToken(last)],
    'only the unused one is sealed',
  )
  const sealed = String(rows[0]?.sealed)
  t.equal(openSuccessor(sealed, before), last, 'the token before it opens it')
  for (const other of [...line.slice(0, -2), last, hashOpaqueToken(before)])
    t.equal(openSuccessor(sealed, other), undefined)
})

t.test('trusts nothing remembered once the store has not responded for five seconds', async t => {
  const { store: real, calls } = watchStore(openSqlite(':memory:'))
  let silence = 0
  const store = new Proxy(real, {
    get: (target, name) => (name === 'millisecondsSinceSync' ? () => silence : Reflect.get(target, name)),
  })
  const server = await startTestServer({ clients, store })
  t.teardown(() => server.close())
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  const carol = await server.connect(named(server, 'carol'), { clientId: 'carol' })
  const api = await server.connect(named(server, 'api'), { clientId: 'api' })
  const [signed, opaque] = [await startGrant(alice), await startGrant(bob)]
  const asks = {
    'a token that is remembered': () => alice.get('/api/whoami', signed.access),
    'an opaque token that is remembered': () => bob.get('/api/whoami', opaque.access),
    'a token that is not remembered': async () => {
      const token = await alice.token({ token_binding: 'certificate' })
      return (await server.connect('alice')).get('/api/whoami', token)
    },
    'an introspection': () => introspect(api, signed.access),
    'a request for a token': () => carol.requestToken(),
  }
  for (const ask of Object.values(asks)) t.match(await ask(), { status: 200 })
  silence = 5000
  for (const [name, ask] of Object.entries(asks)) t.match(await ask(), { status: 200 }, `${name} in time`)
  const known = await alice.token({ token_binding: 'certificate' })
  asks['a token that is not remembered'] = async () => (await server.connect('alice')).get('/api/whoami', known)
  silence = 5001
  for (const [name, ask] of Object.entries(asks)) {
    const before = { events: server.events.length, calls: calls.length }
    const answer = await ask()
    t.match(answer, unavailable, name)
    t.equal(answer.headers['www-authenticate'], undefined)
    t.match(server.events.slice(before.events), [{ event: 'token.refused', reason: 'store_unavailable', status: 503 }])
    t.same(calls.slice(before.calls), [], 'it sends no query')
  }
  silence = Number.POSITIVE_INFINITY
  t.match(await alice.get('/api/whoami', signed.access), unavailable)
  t.match(await alice.get('/binding'), { status: 200 }, 'requests without token state succeed')
  t.match(await alice.get('/oauth/jwks'), { status: 200 })
  t.match(await alice.get('/api/whoami', 'x'), { status: 401, body: { reason: 'bad_signature' } })
  silence = 0
  for (const [name, ask] of Object.entries(asks)) t.match(await ask(), { status: 200 }, `${name} again`)
})
