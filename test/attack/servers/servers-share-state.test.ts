// Several servers on one PostgreSQL, each with its own connections: a token refused by one is refused by all (OA21, RE04, I5,
// I6, I8).
import t, { type Test } from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { openPostgres } from '../../../src/store/postgres.ts'
import { startTestServer, type TestConnection, type TestServer } from '../../../src/testing/server.ts'
import { startPostgres } from '../../helpers/server/postgres.ts'
import { ageRefreshTokens } from '../../helpers/tokens/age-refresh-tokens.ts'
import { claimsOf, refresh, revoke } from '../../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
const pki = makeDemoPki()
const signingKeys = [await generateTokenKey('ES256')]
const alice = {
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
  scope: 'notes:read',
  grant_types: ['client_credentials', 'refresh_token'],
  token_bindings: ['certificate', 'connection'],
}
let schemas = 0

async function startTwo(t: Test): Promise<[TestServer, TestServer]> {
  const url = postgres.url(`servers_${++schemas}`)
  const start = () =>
    startTestServer({ pki, signingKeys, clients: [alice], store: openPostgres(url, { connections: 4 }) })
  const servers: [TestServer, TestServer] = [await start(), await start()]
  t.teardown(() => Promise.all(servers.map(server => server.close())))
  servers[1].clock = servers[0].clock
  return servers
}

/** Returns the milliseconds until `holds` is true; fails after `limit`. */
async function until(holds: () => Promise<boolean>, limit: number): Promise<number> {
  const start = performance.now()
  while (!(await holds())) {
    if (performance.now() - start > limit) throw new Error(`not within ${limit} ms`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return performance.now() - start
}

t.test('rejects a token at one server within a second after another revoked it (OA21, I5)', async t => {
  const [one, other] = await startTwo(t)
  const [here, there] = [await one.connect('alice'), await other.connect('alice')]
  const { access_token, refresh_token } = (await here.requestToken()).body
  const bystander = await here.token()
  t.equal((await there.get('/api/whoami', access_token)).status, 200, 'control: both servers accept it')

  t.equal((await revoke(here, access_token)).status, 200)
  t.match(
    await here.get('/api/whoami', access_token),
    { status: 401, body: { reason: 'revoked' } },
    'at this server immediately',
  )
  const isRefused = async () => (await there.get('/api/whoami', access_token)).status === 401
  const took = await until(isRefused, 1000)
  t.ok(took < 1000, `${Math.round(took)} ms`)
  t.match(await there.get('/api/whoami', access_token), { body: { reason: 'revoked' } })

  const second = (await refresh(there, refresh_token)).body
  t.equal((await revoke(there, second.refresh_token)).status, 200, 'the whole grant, at the other server')
  t.match(
    await refresh(here, second.refresh_token),
    { status: 400, body: { reason: 'refresh_revoked' } },
    'at this server immediately',
  )
  t.ok((await until(async () => (await here.get('/api/whoami', second.access_token)).status === 401, 1000)) < 1000)
  t.equal((await here.get('/api/whoami', bystander)).status, 200, 'a token of another grant is unaffected')
})

t.test('gives fifty uses of a refresh token at two servers one successor, and keeps the grant (I6)', async t => {
  const servers = await startTwo(t)
  const connections = await Promise.all(
    Array.from({ length: 10 }, (_, i) => (servers[i % 2] as TestServer).connect('alice')),
  )
  const [first] = connections as [TestConnection]
  const { refresh_token: token } = (await first.requestToken()).body
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => refresh(connections[i % 10] as TestConnection, token)),
  )
  t.same([...new Set(answers.map(({ status }) => status))], [200])
  const [next, ...others] = new Set<string>(answers.map(({ body }) => body.refresh_token))
  t.same(others, [], 'one line of tokens')
  t.equal((await first.get('/api/whoami', answers[0]?.body.access_token)).status, 200)
  t.equal((await refresh(first, next as string)).status, 200, 'every one of them can continue')
  const events = servers.flatMap(({ events }) => events)
  t.equal(events.filter(({ how }) => how === 'rotated').length, 2)
  t.equal(events.filter(({ event }) => event === 'refresh.reused').length, 0)
})

for (const apart of [30, -30])
  t.test(`decides about retries alike at servers whose clocks differ by ${apart} s (I6, RE09)`, async t => {
    const servers = await startTwo(t)
    const url = postgres.url(`servers_${schemas}`)
    servers[1].clock += apart
    const connections = await Promise.all([0, 1, 0, 1].map(i => (servers[i] as TestServer).connect('alice')))
    const [here, there] = connections as [TestConnection, TestConnection]
    const { access_token, refresh_token: first } = (await here.requestToken()).body
    const second: string = (await refresh(here, first)).body.refresh_token
    t.match(await refresh(there, first), { status: 200, body: { refresh_token: second } }, 'immediately, at the other')
    const answers = await Promise.all(connections.flatMap(one => [refresh(one, second), refresh(one, second)]))
    const [third = '', ...others] = new Set<string>(answers.map(({ body }) => body.refresh_token))
    t.same(others, [], 'the successor, everywhere at once')

    await ageRefreshTokens(url, 50_000)
    for (const one of [here, there])
      t.match(await refresh(one, second), { status: 200, body: { refresh_token: third } }, 'a retry')
    t.match(await refresh(there, third), { status: 200 }, 'which is valid')
    const reason = 'refresh_reused'
    for (const [index, one] of [here, there].entries())
      t.match(await refresh(one, index === 0 ? first : second), { status: 400, body: { reason } }, 'a reuse')
    const fourth: string = (await refresh(here, third)).body.refresh_token
    await ageRefreshTokens(url, 10_000 + 50_000)
    for (const one of [here, there])
      t.match(await refresh(one, third), { status: 400, body: { reason } }, 'a late retry')
    t.match(await refresh(there, fourth), { status: 200 }, 'the grant continues')
    const { grant } = claimsOf(access_token)
    const events = servers.flatMap(server => server.events).filter(event => event.grant === grant)
    t.same(
      events.filter(({ event }) => event === 'refresh.reused').map(({ detail }) => detail),
      ['reused', 'answer_lost', 'reused', 'answer_lost'],
    )
  })

t.test('completes no refresh after the revocation of its grant was acknowledged', async t => {
  const [one, other] = await startTwo(t)
  const [here, there] = [await one.connect('alice'), await other.connect('alice')]
  for (let round = 0; round < 10; round++) {
    const { refresh_token } = (await here.requestToken()).body
    const [revoked, raced] = await Promise.all([revoke(here, refresh_token), refresh(there, refresh_token)])
    t.equal(revoked.status, 200)
    const next = raced.status === 200 ? raced.body.refresh_token : refresh_token
    const after = await refresh(there, next)
    t.match({ status: after.status, reason: after.body.reason }, { status: 400, reason: 'refresh_revoked' })
  }
})

t.test('refuses without its database instead of trusting old state, and recovers by itself (RE04, I8)', async t => {
  const [server] = await startTwo(t)
  const connection = await server.connect('alice')
  const { access_token, refresh_token } = (await connection.requestToken()).body
  const whoami = () => connection.get('/api/whoami', access_token)
  t.equal((await whoami()).status, 200, 'control')

  await postgres.stop()
  const refused = await refresh(connection, refresh_token)
  t.match(refused, {
    status: 503,
    headers: { 'retry-after': /^\d+$/ },
    body: { error: 'temporarily_unavailable', reason: 'store_unavailable' },
  })
  const silent = await until(async () => (await whoami()).status === 503, 7000)
  t.match(
    await whoami(),
    { status: 503, body: { reason: 'store_unavailable' } },
    `after ${Math.round(silent)} ms of silence`,
  )
  t.match(await connection.get('/oauth/jwks'), { status: 200 }, 'requests without state succeed')

  await postgres.start()
  const recovered = await until(async () => (await whoami()).status === 200, 5000)
  t.ok(recovered < 5000, `${Math.round(recovered)} ms`)
  server.clock += 2
  t.equal((await refresh(connection, refresh_token)).status, 200, 'the refused refresh used nothing up')
})
