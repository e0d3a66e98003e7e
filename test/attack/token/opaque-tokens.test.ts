// Opaque access tokens: bound, expired, revoked and refused like signed ones; the store knows only their hash. CB01, CB02,
// CB26, RE11, N-37. Noise is rejected without a query to the store.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken, hashOpaqueToken } from '../../../src/core/opaque-token.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { refusal, refuseEach, refuseElsewhere, refusePresenter } from '../../helpers/server/refusals.ts'
import { register, revoke, startGrant, watchStore } from '../../helpers/tokens/grants.ts'

const { store, calls } = watchStore(openSqlite(':memory:'))
const clients = [register('alice', { access_token_format: 'opaque' }), register('bob')]
const routes = {
  routes: (app: { get: (path: string, options: object, handler: () => string) => unknown }) =>
    void app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict'),
}
const server = await startTestServer({ clients, store, ...routes })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const issue = (wish: Record<string, string> = {}) => alice.token(wish)
const good = { status: 200, body: { client_id: 'alice' } }

t.test('issues unique opaque tokens in the form that scanners know (N-37)', async t => {
  const tokens = await Promise.all(Array.from({ length: 30 }, () => issue()))
  for (const token of tokens) t.match(token, /^tlsbound_at_[0-9A-Za-z]{49}$/)
  t.equal(new Set(tokens.map(token => token.slice(0, 30))).size, 30)
  t.match(await alice.requestToken(), {
    status: 200,
    body: { token_type: 'Bearer', expires_in: 300, token_binding: 'connection' },
  })
})

t.test('accepts an opaque token only on its connection and with its certificate (CB01, CB02)', async t => {
  const token = await issue()
  t.match(await alice.get('/api/whoami', token), { ...good, body: { token_binding: 'connection' } })
  t.match(await alice.get('/strict', token), { status: 200 })
  await refuseElsewhere(t, server, token)
  for (const [who, reason] of [
    ['stranger', 'certificate_untrusted'],
    [null, 'no_certificate'],
  ] as const)
    await refusePresenter(t, server, who, reason, `${who}`, { stolen: token })
  t.match(await alice.get('/api/whoami', token), good, 'still valid on its own connection')

  const portable = await issue({ token_binding: 'certificate' })
  const second = await server.connect('alice', { ALPNProtocols: ['h2'] })
  t.match(await second.get('/api/whoami', portable), { ...good, body: { token_binding: 'certificate' } })
  t.match(await second.get('/strict', portable), refusal('binding_too_weak'))
  t.match(await (await server.connect('bob')).get('/api/whoami', portable), refusal('certificate_mismatch'))
})

t.test('decides each request of an HTTP/2 connection by its own token (CB26)', async t => {
  const stolen = await issue()
  const second = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const own = await second.token()
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => second.get('/api/whoami', index % 2 === 0 ? own : stolen)),
  )
  t.same(
    answers.map(({ status }) => status),
    answers.map((_, index) => (index % 2 === 0 ? 200 : 401)),
  )
})

t.test('rejects a wrong checksum without a query to the store', async t => {
  const { access, refresh } = await startGrant(alice)
  const second = await server.connect('alice')
  const last = access.at(-1) === '0' ? '1' : '0'
  const noise = [
    access.slice(0, -1) + last,
    access.slice(0, 13) + (access[13] === 'A' ? 'B' : 'A') + access.slice(14),
    `${access}0`,
    access.slice(0, -1),
    access.toLowerCase(),
    access.replace('_at_', '_rt_'),
    access.replace('tlsbound', 'tlsbounD'),
    refresh,
    buildOpaqueToken('rt', randomBytes(32)),
    access.slice(13),
    `${access}.${access}.${access}`,
    'tlsbound_at_',
  ]
  const before = calls.length
  await refuseEach(
    t,
    server,
    second,
    noise.map(token => [token.slice(0, 20), token]),
  )
  t.same(calls.slice(before), [])
  await refuseEach(t, server, second, [['never issued', buildOpaqueToken('at', randomBytes(32))]])
  t.same(calls.slice(before), ['findAccessToken'], 'control: one with its checksum is looked up')
  await refuseEach(t, server, second, [['stolen', access, 'connection_mismatch']])
  t.same(calls.slice(before), ['findAccessToken', 'findAccessToken'])
})

t.test('queries the store once for each connection of a token other than its own', async t => {
  const token = await issue({ token_binding: 'certificate' })
  const before = calls.length
  for (let use = 0; use < 5; use++) t.match(await alice.get('/api/whoami', token), good)
  t.same(calls.slice(before), [])
  const second = await server.connect('alice')
  for (let use = 0; use < 5; use++) t.match(await second.get('/api/whoami', token), good)
  t.same(calls.slice(before), ['findAccessToken'])
})

t.test(
  'ends the lifetime on connections that remember it and on others, before and after the store is swept',
  async t => {
    const token = await issue({ token_binding: 'certificate' })
    const known = await server.connect('alice')
    t.match(await known.get('/api/whoami', token), good)
    server.clock += 299
    t.match(await known.get('/api/whoami', token), good)
    server.clock += 1
    for (const connection of [alice, known, await server.connect('alice')])
      await refuseEach(t, server, connection, [['expired', token, 'expired']])
    await store.removeExpired(server.clock + 1, 1000)
    t.equal(await store.findAccessToken(hashOpaqueToken(token)), undefined)
    await refuseEach(t, server, await server.connect('alice'), [['swept', token, 'bad_signature']])
    await refuseEach(t, server, alice, [['swept, and remembered', token, 'expired']])
  },
)

t.test('rejects a revoked token on all connections, and after a restart on the same store', async t => {
  const token = await issue({ token_binding: 'certificate' })
  const second = await server.connect('alice')
  t.match(await second.get('/api/whoami', token), good)
  t.match(await revoke(await server.connect('alice'), token), { status: 200 })
  for (const connection of [alice, second, await server.connect('alice')])
    await refuseEach(t, server, connection, [['revoked', token, 'revoked']])
})

t.test('accepts an opaque token after its signing keys were replaced (RE11)', async t => {
  const file = `${t.testdir()}/state.db`
  const tokens: string[] = []
  for (const use of [0, 1, 2]) {
    const own = await startTestServer({ clients, pki: server.pki, store: openSqlite(file) })
    const connection = await own.connect('alice')
    for (const token of tokens) t.match(await connection.get('/api/whoami', token), good, `start ${use}`)
    tokens.push(await connection.token({ token_binding: 'certificate' }))
    await own.close()
  }
})

t.test('stores the hash and the claims of a token, and writes the token nowhere', async t => {
  const token = await issue()
  const kept = (await store.findAccessToken(hashOpaqueToken(token))) as string
  t.match(JSON.parse(kept), {
    client_id: 'alice',
    aud: String,
    cnf: { 'x5t#S256': String, 'tls-exporter#S256': String },
  })
  t.equal(await store.findAccessToken(token), undefined)
  const written = kept + JSON.stringify(server.events) + server.log.join('')
  for (const secret of [token, token.slice(13, 40), hashOpaqueToken(token)]) t.notOk(written.includes(secret))
})
