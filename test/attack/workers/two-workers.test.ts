// The attacks on grants, revocation and containment, on a server with two workers: the thief uses the worker that its victim
// does not use. And the limits of the whole server. CB01, DS12, RE01.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { prepareFolder, startWorkers } from '../../helpers/process/workers.ts'
import { readMetrics } from '../../helpers/server/metrics.ts'
import { claimsOf, introspect, refresh, register, revoke, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(120_000)
const names = ['carol', 'dave', 'erin', 'api']
const basic = { token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'] }
const folder = t.testdir()
prepareFolder(
  folder,
  [
    register('alice'),
    register('bob'),
    register('carol', { theft_response: 'close' }),
    register('dave', { theft_response: 'revoke_token', grant_types: ['client_credentials'] }),
    register('erin', basic),
    register('api', { resource: 'https://api.example' }),
  ],
  names,
)
const server = await startWorkers(t, folder)
const portable = { token_binding: 'certificate' }
const [alice1, alice2] = await server.connectBoth('alice')
const pairs = [
  [alice1, alice2],
  [alice2, alice1],
] as const
const eventsOf = (name: string) => server.events().filter(({ event }) => event === name)

t.test('rejects a connection-bound token on a connection of the other worker (CB01)', async t => {
  for (const [one, other] of pairs) {
    const token = await one.token()
    t.match(await one.get('/api/whoami', token), { status: 200 }, 'control')
    t.match(await other.get('/api/whoami', token), { status: 401, body: { reason: 'connection_mismatch' } })
    const free = await one.token(portable)
    t.match(await other.get('/api/whoami', free), { status: 200 }, 'control: bound to the certificate only')
  }
})

t.test('a revocation is in force on both workers with its answer (DS12)', async t => {
  for (let round = 0; round < 10; round++)
    for (const [one, other] of pairs) {
      const { access, refresh: stored } = await startGrant(one, portable)
      t.match(await other.get('/api/whoami', access), { status: 200 }, 'control')
      t.match(await revoke(one, round % 2 === 0 ? access : stored), { status: 200 })
      t.match(await other.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
      if (round % 2 !== 0)
        t.match(await refresh(other, stored), { status: 400, body: { reason: 'refresh_revoked' } }, 'with its grant')
    }
})

t.test('a client that is disabled or revoked by an administrator ends on both workers at once', async t => {
  const [carol1, carol2] = await server.connectBoth('carol')
  const token = await carol1.token(portable)
  for (const one of [carol1, carol2]) t.match(await one.get('/api/whoami', token), { status: 200 }, 'control')
  t.match(await server.ops('POST', '/admin/clients/carol/disable'), { status: 200 })
  for (const one of [carol1, carol2])
    t.match(await one.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
  await until(() => !carol1.isOpen() && !carol2.isOpen())
  t.match(await server.ops('POST', '/admin/clients/carol/enable'), { status: 200 })
  t.match(await (await server.connect('carol')).get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })

  const fresh = await alice1.token(portable)
  const body = { kind: 'client', value: 'alice' }
  t.match(await server.ops('POST', '/admin/revocations', { body }), { status: 201 })
  for (const one of [alice1, alice2]) t.match(await one.get('/api/whoami', fresh), { status: 401 })
  const later = await alice1.token(portable)
  t.match(await alice2.get('/api/whoami', later), { status: 200 }, 'a token that was issued after it')
  t.match(
    await server.ops('POST', '/admin/revocations', { body: { kind: 'token', value: claimsOf(later).jti } }),
    { status: 201, body: { ended: { tokens_in_use: 1, connections: 0 } } },
    'a token that is in use at both is counted once',
  )
  t.match(await alice2.get('/api/whoami', later), { status: 401 })
})

t.test('a refresh token has one successor, on whichever worker, and its reuse ends the grant on both', async t => {
  const [carol1, carol2] = await server.connectBoth('carol') // her policy ends the grant
  const first = await startGrant(carol1, portable)
  const second = tokensOf(await refresh(carol2, first.refresh))
  t.equal(tokensOf(await refresh(carol1, first.refresh)).refresh, second.refresh, 'a lost response')
  const third = tokensOf(await refresh(carol1, second.refresh))
  t.match(await refresh(carol2, first.refresh), { status: 400, body: { reason: 'refresh_reused' } })
  for (const one of [carol1, carol2]) {
    t.match(await refresh(one, third.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
    t.match(await one.get('/api/whoami', third.access), { status: 401, body: { reason: 'revoked' } })
  }

  for (let round = 0; round < 5; round++) {
    const { refresh: stored } = await startGrant(alice1, portable)
    const answers = await Promise.all([alice1, alice2, alice1, alice2].map(one => refresh(one, stored)))
    t.equal(new Set(answers.map(answer => tokensOf(answer).refresh)).size, 1, 'all racers get the same one')
  }
})

t.test(
  'a theft on one worker closes the connections of the owner on the other, and ends the grant on both',
  async t => {
    const [carol1, carol2] = await server.connectBoth('carol')
    const [bob1] = await server.connectBoth('bob')
    const { access, refresh: stored } = await startGrant(carol1, portable)
    t.match(await carol2.get('/api/whoami', access), { status: 200 }, 'control')
    t.match(await bob1.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_mismatch' } })
    await until(() => !carol1.isOpen() && !carol2.isOpen())
    const { grant } = claimsOf(access)
    await until(() => eventsOf('token.revoked').some(({ value, cause }) => value === grant && cause === 'theft'))
    t.match(eventsOf('theft.suspected').at(-1), { client_id: 'carol', grant, response: 'close', writer: undefined })
    for (const one of await server.connectBoth('carol')) {
      t.match(await one.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
      t.match(await refresh(one, stored), { status: 400, body: { reason: 'refresh_revoked' } })
    }
  },
)

t.test('at most three automatic revocations in ten minutes, on both workers together', async t => {
  const [dave1, dave2] = await server.connectBoth('dave')
  const thieves = await server.connectBoth('bob')
  const tokens: string[] = []
  for (let round = 0; round < 6; round++) {
    const token = await [dave1, dave2][round % 2]?.token(portable)
    tokens.push(token as string)
    t.match(await thieves[round % 2]?.get('/api/whoami', token), { status: 401 })
  }
  const thefts = () => eventsOf('theft.suspected').filter(({ client_id }) => client_id === 'dave')
  await until(() => thefts().length === 6)
  t.equal(thefts().filter(({ response }) => response === 'revoke_token').length, 3)
  t.equal(thefts().filter(({ response, damped }) => response === 'alert' && damped === true).length, 3)
  await until(() => eventsOf('token.revoked').filter(({ client_id }) => client_id === 'dave').length === 3)
  t.match(await dave1.get('/api/whoami', tokens[0] as string), { status: 401 })
  t.match(await dave2.get('/api/whoami', tokens[5] as string), { status: 200 }, 'the owner is not locked out')
})

t.test('a wrong secret on one worker delays the next attempt on the other', async t => {
  const { body } = await server.ops('POST', '/admin/clients/erin/secrets')
  const [erin1, erin2] = await server.connectBoth('erin')
  const attempt = (one: typeof erin1, secret: string) =>
    one.call('/oauth/token', {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`erin:${secret}`).toString('base64')}`,
      },
      body: 'grant_type=client_credentials',
    })
  t.match(await attempt(erin1, body.secret), { status: 200 }, 'control')
  t.match(await attempt(erin1, 'wrong'), { status: 401 })
  t.match(await attempt(erin2, 'wrong too'), { status: 401 })
  const details = eventsOf('client.refused').flatMap(({ client_id, detail }) => (client_id === 'erin' ? detail : []))
  t.same(details, ['secret', 'secret_delayed'])
  t.match(await attempt(erin1, body.secret), { status: 200 }, 'the owner is served where its secret matched before')
})

t.test('shows the whole server in one page, in one text of metrics, and to resource servers', async t => {
  const [api1, api2] = await server.connectBoth('api')
  const token = await alice1.token({ ...portable, resource: 'https://api.example' })
  for (const one of [api1, api2]) t.match(await introspect(one, token), { status: 200, body: { active: true } })

  const before = readMetrics((await server.ops('GET', '/metrics')).text)
  for (const one of [alice1, alice2, alice2]) await one.token()
  const after = readMetrics((await server.ops('GET', '/metrics')).text)
  const issued = 'tlsbound_tokens_issued_total{level="connection",grant_type="client_credentials"}'
  t.equal((after.get(issued) ?? 0) - (before.get(issued) ?? 0), 3)
  t.equal(after.get('tlsbound_workers_running'), 2)
  t.equal(after.get('tlsbound_ready'), 1)
  t.equal(after.get('tlsbound_events_writable'), 1)
  t.ok((after.get('tlsbound_revocation_lag_seconds') ?? 9) < 2)
  const thefts = [...after].filter(([name]) => name.startsWith('tlsbound_theft_signals_total'))
  t.equal(
    thefts.reduce((sum, [, value]) => sum + value, 0),
    eventsOf('theft.suspected').length,
    'counted once',
  )
  t.match(await server.ops('GET', '/ready'), { status: 200 })

  const token2 = readFileSync(join(folder, 'data/ops-token'), 'utf8').trim()
  const { socket: own } = alice1
  const url = `http://127.0.0.1:${new URL(await opsUrl()).port}/live`
  const ending = new AbortController()
  const response = await fetch(url, { headers: { authorization: `Bearer ${token2}` }, signal: ending.signal })
  const shown = new Map<number, { peer: string }>()
  for await (const chunk of response.body ?? []) {
    for (const line of Buffer.from(chunk).toString().split('\n').filter(Boolean))
      for (const connection of JSON.parse(line).connections) shown.set(connection.id, connection)
    const peers = [...shown.values()].map(({ peer }) => peer)
    if ([own, alice2.socket].every(({ localPort }) => peers.includes(`127.0.0.1:${localPort}`))) break
  }
  ending.abort()
  t.pass('connections of both workers')

  async function opsUrl(): Promise<string> {
    const variables = readFileSync(`/proc/${server.child.pid}/environ`, 'utf8').split('\0')
    return `http://127.0.0.1:${variables.find(line => line.startsWith('TLSBOUND_OPS_PORT='))?.slice(18)}`
  }
})

t.test('SIGHUP loads the files in all workers, and revokes tokens of a changed client once', async t => {
  const [erin] = await server.connectBoth('bob')
  const token = await erin.token(portable)
  const clients = JSON.parse(readFileSync(join(folder, 'clients.json'), 'utf8'))
  const change = async (text: string, expected: RegExp) => {
    writeFileSync(join(folder, 'clients.json'), text)
    const since = server.stderr().length
    server.child.kill('SIGHUP')
    await server.seen(expected, since)
  }
  await change('[', /clients stay as they were/)
  for (const one of await server.connectBoth('bob'))
    t.match(await one.get('/api/whoami', token), { status: 200 }, 'an invalid file changes nothing')
  const less = clients.map((one: { client_id: string }) =>
    one.client_id === 'bob' ? { ...one, scope: 'notes:read' } : one,
  )
  await change(JSON.stringify(less), /client bob has changed/)
  for (const one of await server.connectBoth('bob')) {
    t.match(await one.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
    t.match((await one.requestToken(portable)).body, { scope: 'notes:read' })
  }
  t.equal(eventsOf('token.revoked').filter(({ value }) => value === 'bob').length, 1)
})

t.test('a flood of equal refusals is limited for the whole server, and every chain of events is whole', async t => {
  const count = 200
  const nobody = await server.connectBoth(null)
  await new Promise(resolve => setTimeout(resolve, 1100))
  const before = eventsOf('token.refused').length
  for (let round = 0; round < count; round++) await nobody[round % 2]?.get('/api/whoami')
  await new Promise(resolve => setTimeout(resolve, 1500))
  const lines = eventsOf('token.refused').slice(before)
  t.equal(
    lines.reduce((sum, { count = 1 }) => sum + count, 0),
    count,
  )
  const seconds = new Map<string, number>()
  for (const { time, count } of lines)
    if (count === undefined) seconds.set(time.slice(0, 19), (seconds.get(time.slice(0, 19)) ?? 0) + 1)
  // A second of a worker can begin within a second of the clock.
  t.ok(Math.max(...seconds.values()) <= 2 * 20, `${[...seconds.values()]}`)
  t.match(await server.verify(), { code: 0, stdout: /valid: / })
  t.match(await server.end('SIGTERM', 10_000), { code: 0 })
  const verdict = await server.verify()
  t.match(verdict, { code: 0, stdout: /the next line refers to [\w-]{43}\n/ }, 'all chains have ended')
})
