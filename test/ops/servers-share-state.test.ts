// Changes at one of several servers apply to all of them, and a server that lost its database reports it.
// OA21, RE04, I6.
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import { type Answer, startTestServer, type TestServer } from '../../src/testing/server.ts'
import { at, callOps, registrationOf } from '../helpers/server/ops.ts'
import { startPostgres } from '../helpers/server/postgres.ts'

t.setTimeout(60_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
const url = postgres.url('ops')
const pki = makeDemoPki()

async function start(): Promise<TestServer> {
  const clients = [
    registrationOf('alice'),
    registrationOf('carol', { token_endpoint_auth_method: 'client_secret_basic' }),
  ]
  const server = await startTestServer({ ops: true, pki, clients, store: openPostgres(url, { connections: 2 }) })
  t.teardown(() => server.close())
  return server
}

const here = await start()
const there = await start()

/** Repeats a request until it has this status, for `limit` milliseconds at most. */
async function until(status: number, ask: () => Promise<Answer>, limit: number): Promise<Answer> {
  const end = performance.now() + limit
  let answer = await ask()
  while (answer.status !== status && performance.now() < end) answer = await ask()
  return answer
}

t.test('applies adding, disabling and revoking at another server within a second', async t => {
  const mallory = await there.connect('mallory', { clientId: 'mallory' })
  t.match(await mallory.requestToken(), { status: 401, body: { reason: 'unknown_client' } })
  t.match(await callOps(here, 'PUT', at('mallory'), { body: registrationOf('mallory') }), { status: 201 })
  const { status, body } = await until(200, () => mallory.requestToken(), 1000)
  t.equal(status, 200)
  t.match(await mallory.get('/api/whoami', body.access_token), { status: 200 }, 'control')
  const { clock } = there
  there.clock += 30
  const ahead = await mallory.token()
  there.clock = clock

  t.match(await callOps(here, 'POST', at('mallory', '/disable')), { status: 200 })
  const use = await until(401, () => mallory.get('/api/whoami', body.access_token), 1000)
  t.match(use, { status: 401, body: { reason: 'revoked' } })
  t.match(await until(401, () => mallory.requestToken(), 1000), { status: 401, body: { reason: 'client_disabled' } })
  const late = await mallory.get('/api/whoami', ahead)
  t.match(late, { status: 401, body: { reason: 'revoked' } }, 'nor is a token valid that has a later time')
  t.match(await callOps(there, 'GET', at('mallory')), { status: 200, body: { disabled: true, origin: 'store' } })
})

t.test('keeps a client disabled and its new registration when two servers change it at once', async t => {
  for (let round = 0; round < 10; round++) {
    const id = `racer ${round}`
    const put = (scope: string) => callOps(there, 'PUT', at(id), { body: { ...registrationOf(id), scope } })
    t.match(await put('a'), { status: 201 })
    await until(200, () => callOps(here, 'GET', at(id)), 1000)
    const disable = () => callOps(here, 'POST', at(id, '/disable'))
    const both = round % 2 ? [put('b'), disable()] : [disable(), put('b')]
    for (const { status } of await Promise.all(both)) t.equal(status, 200)
    const record = (await here.store.listClients()).find(client => client.id === id)
    t.match(record, { disabled: true, registration: /"scope":"b"/ })
  }
})

t.test('stores two secrets of those created at two servers at the same time', async t => {
  const make = (server: TestServer) => callOps(server, 'POST', at('carol', '/secrets'))
  const answers = await Promise.all([here, there, here, there].map(make))
  t.same(answers.map(({ status }) => status).sort(), [201, 201, 409, 409])
  t.equal((await here.store.listSecrets('carol')).length, 2)
})

t.test('refuses a backup of PostgreSQL, and names its tool', async t => {
  const refused = { status: 409, body: { problems: [/pg_dump --format=custom$/] } }
  t.match(await callOps(here, 'POST', '/admin/backup'), refused)
})

t.test('is alive but not ready without its database, and changes nothing', async t => {
  for (const path of ['/health', '/ready']) t.match(await callOps(here, 'GET', path), { status: 200 }, 'control')
  postgres.signalAll('SIGSTOP')
  t.match(await callOps(here, 'GET', '/health'), { status: 200 })
  const begun = performance.now()
  t.match(await callOps(here, 'GET', '/ready'), { status: 503 }, 'nor while it hangs')
  t.ok(performance.now() - begun < 5000, 'within the time-out of a probe')
  postgres.signalAll('SIGCONT')
  t.match(await until(200, () => callOps(here, 'GET', '/ready'), 10_000), { status: 200 }, 'ready again')
  await postgres.stop()
  t.match(await until(503, () => callOps(here, 'GET', '/ready'), 5000), {
    status: 503,
    headers: { 'retry-after': '1' },
  })
  t.match(await callOps(here, 'GET', '/health'), { status: 200 })
  const refusal = { status: 503, body: { error: 'temporarily_unavailable', reason: 'store_unavailable' } }
  t.match(await callOps(here, 'POST', at('alice', '/disable')), refusal)
  t.match(await callOps(here, 'POST', '/admin/revocations', { body: { kind: 'all' } }), refusal)
  t.match(
    await callOps(here, 'GET', at('alice')),
    { status: 200, body: { disabled: false } },
    'the effective state is reported',
  )
})
