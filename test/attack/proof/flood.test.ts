// Many proofs: more tokens than are remembered, one proof many times at once, a flood of ids, ten thousand invalid ones.
// N-59, N-63; DS06, I3, I7. A flood on one connection does not affect others.
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { hashToken } from '../../../src/core/binding-proof.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { connectionOf } from '../../../src/tls/connection.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { register } from '../../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const bindings = { token_bindings: ['proof', 'certificate'], grant_types: ['client_credentials'] }
const server = await startTestServer({
  clients: [register('alice', bindings), register('bob', { ...bindings, access_token_format: 'opaque' })],
  routes: app => void app.get('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone'),
})
t.teardown(() => server.close())
const sockets: TLSSocket[] = []
server.app.server.on('secureConnection', (socket: TLSSocket) => void sockets.push(socket))

const whoami = '/api/whoami'
const invalid = refusal('proof_invalid', 'invalid_proof')
const once = (connection: TestConnection, token: string, jti: string = crypto.randomUUID()) =>
  connection.prove(token, { jti, htm: 'GET', htu: '/alone' })

/** Uses each token with its proof, and counts the responses by status. */
async function useAll(connection: TestConnection, proven: readonly (readonly [token: string, proof: string])[]) {
  const answers = await Promise.all(proven.map(([token, proof]) => connection.get(whoami, token, proof)))
  return countBy(answers.map(({ status }) => status))
}

function countBy(statuses: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(statuses, status => status)).map(([key, all]) => [key, all?.length ?? 0]),
  )
}

async function proveMany(connection: TestConnection, count: number) {
  const tokens = await Promise.all(Array.from({ length: count }, () => connection.token()))
  return tokens.map(token => [token, connection.prove(token)] as const)
}

t.test('accepts seventy tokens on one connection, in turn and again, each with its proof (draft §3.3.2)', async t => {
  for (const protocol of ['http/1.1', 'h2']) {
    const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
    const proven = await proveMany(connection, 70)
    for (let round = 0; round < 3; round++) t.same(await useAll(connection, proven), { 200: 70 }, protocol)
    const [[token], [, other]] = proven as [[string, string], [string, string]]
    t.match(await connection.get(whoami, token, other), invalid, 'and none with the proof of another token')
  }
})

t.test('accepts the proofs of seventy tokens for the lifetime of the tokens (draft §3.3.1, §3.3.2)', async t => {
  const connection = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const few = await proveMany(connection, 10)
  t.same(await useAll(connection, few), { 200: 10 })
  server.clock += 61
  t.same(await useAll(connection, few), { 200: 10 }, 'control: ten')
  const many = await proveMany(connection, 70)
  t.same(await useAll(connection, many), { 200: 70 })
  server.clock += 61
  t.same(await useAll(connection, many), { 200: 70 })
})

t.test('accepts one proof in twenty concurrent first requests', async t => {
  for (const who of ['alice', 'bob'] as const) {
    const connection = await server.connect(who, { ALPNProtocols: ['h2'] })
    const [one] = await proveMany(connection, 1)
    t.same(
      await useAll(
        connection,
        Array.from({ length: 20 }, () => one as [string, string]),
      ),
      { 200: 20 },
      who,
    )
  }
})

t.test('accepts a single-use proof in one of twenty concurrent requests, for signed and opaque tokens', async t => {
  for (const who of ['alice', 'bob'] as const) {
    const http2 = await server.connect(who, { ALPNProtocols: ['h2'] })
    const token = await http2.token()
    const proof = once(http2, token)
    const answers = await Promise.all(Array.from({ length: 20 }, () => http2.get('/alone', token, proof)))
    t.same(countBy(answers.map(({ status }) => status)), { 200: 1, 401: 19 }, `${who}, HTTP/2`)

    const raw = await server.connect(who)
    const [text, header] = [await tokenOverRaw(raw, who), 'Session-Binding-Proof']
    const lines = [`Authorization: Bearer ${text}`, `${header}: ${once(raw, text)}`]
    const pipelined = await exchange(raw, requestText('GET /alone', lines).repeat(20), { until: 20 })
    t.same(countBy(pipelined.answers.map(({ status }) => status)), { 200: 1, 401: 19 }, `${who}, HTTP/1.1`)
    t.equal(pipelined.answers[0]?.status, 200, 'the first')
  }
})

/** Requests a token over the bare socket, which an agent would take over. */
async function tokenOverRaw(connection: TestConnection, who: string): Promise<string> {
  const body = `grant_type=client_credentials&client_id=${who}`
  const lines = ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`]
  const { answers } = await exchange(connection, requestText('POST /oauth/token', lines, body), { until: 1 })
  return answers[0]?.body.access_token
}

t.test('accepts an id once per connection, whatever its token or request, and again on another connection', async t => {
  const [one, other] = [await server.connect('alice'), await server.connect('alice')]
  const [token, second] = [await one.token(), await one.token()]
  t.match(await one.get('/alone', token, once(one, token, 'id')), { status: 200 })
  t.match(await one.get('/alone', token, once(one, token, 'id')), invalid)
  t.match(await one.get('/alone', second, once(one, second, 'id')), invalid)
  t.match(await other.get('/alone', token, once(other, token, 'id')), { status: 200 }, 'control')
  const refused = other.prove(token, { jti: 'unused', htm: 'POST', htu: '/alone' })
  t.match(await other.get('/alone', token, refused), invalid)
  t.match(
    await other.get('/alone', token, once(other, token, 'unused')),
    { status: 200 },
    'a refusal does not use up the id',
  )
})

t.test('keeps the constraints of a proof after its first use', async t => {
  const connection = await server.connect('alice')
  const token = await connection.token()
  const general = connection.prove(token)
  t.match(await connection.get(whoami, token, general), { status: 200 })
  t.match(await connection.get('/alone', token, general), invalid, 'not limited to one request')
  t.match(await connection.get('/alone', token, once(connection, token)), { status: 200 }, 'control')
  const limits = { path: { htu: whoami }, method: { htm: 'GET' } }
  for (const [limit, claims] of Object.entries(limits)) {
    const proof = connection.prove(token, claims)
    for (let use = 0; use < 2; use++) t.match(await connection.get(whoami, token, proof), { status: 200 }, limit)
    const other = limit === 'path' ? ['/api/notes', 'GET'] : [whoami, 'POST']
    t.match(await connection.call(other[0] as string, { method: other[1] as string, token, proof }), invalid, limit)
  }
})

t.test('refuses a flood of ids at its limit, on that connection only, until the window is over', async t => {
  const [flooding, other] = [await server.connect('alice'), await server.connect('alice')]
  const token = await flooding.token()
  t.match(await flooding.get('/alone', token, once(flooding, token, 'first')), { status: 200 })
  const remembered = connectionOf(sockets.at(-2))?.usedProofs as Map<string, number>
  t.same([...remembered.keys()], [hashToken('first')], 'the flooding connection')
  for (let at = remembered.size; at < 16_383; at++) remembered.set(`id ${at}`, server.clock)
  t.match(await flooding.get('/alone', token, once(flooding, token)), { status: 200 }, 'the last one')
  t.match(await flooding.get('/alone', token, once(flooding, token)), invalid)
  t.equal(remembered.size, 16_384)
  t.match(
    await flooding.get(whoami, token, flooding.prove(token)),
    { status: 200 },
    'a proof without an id still works',
  )
  t.match(await other.get('/alone', token, once(other, token)), { status: 200 })
  server.clock += 65
  t.match(
    await flooding.get('/alone', token, once(flooding, token)),
    invalid,
    'a proof of that time could still be valid',
  )
  server.clock += 1
  t.match(await flooding.get('/alone', token, once(flooding, token)), { status: 200 })
  t.equal(remembered.size, 1)
})

t.test('remembers an id for as long as its proof can be used, to the second (N-57)', async t => {
  const connection = await server.connect('alice')
  const token = await connection.token()
  const start = server.clock
  const ahead = connection.prove(token, { jti: 'ahead', htm: 'GET', htu: '/alone', iat: start + 5 })
  t.match(await connection.get('/alone', token, ahead), { status: 200 })
  for (const later of [1, 60, 64, 65, 66]) {
    server.clock = start + later
    t.match(await connection.get('/alone', token, ahead), invalid, `after ${later} s`)
  }
})

t.test('refuses ten thousand invalid proofs individually, without delaying others (DS06, I7)', async t => {
  const [victim, attacker] = [await server.connect('alice'), await server.connect('alice')]
  const token = await victim.token()
  const proof = victim.prove(token)
  const right = attacker.prove(token)
  const forged = `${right.slice(0, -4)}AAAA` // the right keying material, so that its signature is verified
  const requests = [proof, 'x', `${right}x`, forged].map(value =>
    requestText(`GET ${whoami}`, [`Authorization: Bearer ${token}`, `Session-Binding-Proof: ${value}`]),
  )
  const events = server.events.length
  const [refused, served, waits]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < 100; round++) {
    const flood = exchange(attacker, requests.join('').repeat(25), { until: 100, limit: 30_000 })
    const start = performance.now()
    served.push((await victim.get(whoami, token, proof)).status)
    waits.push(performance.now() - start)
    refused.push(...(await flood).answers.map(({ status }) => status))
  }
  t.same([countBy(refused), countBy(served)], [{ 401: 10_000 }, { 200: 100 }])
  const written = server.events.slice(events)
  t.equal(written.length, 10_000)
  t.ok(written.every(({ reason }) => reason === 'proof_invalid'))
  const longest = Math.round(Math.max(...waits))
  t.ok(longest < 2000, `the slowest other request took ${longest} ms meanwhile`)
})
