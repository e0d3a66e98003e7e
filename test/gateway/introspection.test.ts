// A gateway alone that asks the issuer for revocations (RFC 7662), and its probe listener: as processes, with the server of this project
// as the issuer; and what it makes of answers of others.
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { createIntrospection, mostAnswers } from '../../src/gateway/introspection.ts'
import { upstreamLimits } from '../../src/gateway/upstream.ts'
import { makeDemoPki, writeDemoPki } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { issuerTimeout } from '../../src/verify/issuer-keys.ts'
import type { TokenCheck } from '../../src/verify/token-check.ts'
import { type RunningServer, startTlsbound } from '../helpers/process/process.ts'
import { startUpstream } from '../helpers/server/gateway.ts'
import { callOps } from '../helpers/server/ops.ts'
import { claimsOf } from '../helpers/tokens/grants.ts'
import { patience } from '../helpers/until.ts'

t.setTimeout(240_000)

/** Waits until the condition, which asks a server, is true. @throws Error (rejects) when it has not come true in time. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const start = performance.now()
  while (!(await condition())) {
    if (performance.now() - start > patience) throw new Error(`not true within ${patience} ms: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const certificates = { token_bindings: ['certificate', 'connection'] }
const register = (id: string, more: object = {}) => ({
  ...{ client_id: id, token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: `CN=${id}` },
  ...{ scope: 'notes:read', ...certificates, ...more },
})

t.test('refuses a revoked token and that of a disabled client, and cuts off what they have open', async t => {
  const folder = t.testdir()
  writeDemoPki(join(folder, 'certs'))
  const [opsPort, probePort, issuerPort] = await Promise.all([findFreePort(), findFreePort(), findFreePort()])
  const audience = `https://localhost:${issuerPort}`
  const clients = [register('alice'), register('bob'), register('mallory', { resource: audience })]
  writeFileSync(join(folder, 'clients.json'), JSON.stringify(clients))
  const files = {
    ...{ TLSBOUND_TLS_CERT_FILE: 'certs/server.crt', TLSBOUND_TLS_KEY_FILE: 'certs/server.key' },
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
  }
  const ofIssuer = {
    ...{ ...files, TLSBOUND_CLIENTS_FILE: 'clients.json', TLSBOUND_OPS_PORT: String(opsPort) },
    TLSBOUND_PORT: String(issuerPort),
  }
  let issuer = await startTlsbound(t, folder, ofIssuer)
  const upstream = await startUpstream(t)
  const port = await findFreePort()
  const gateway = await startTlsbound(
    t,
    folder,
    {
      ...{ ...files, TLSBOUND_PORT: String(port), TLSBOUND_AUDIT_FILE: 'gateway.jsonl' },
      TLSBOUND_PROBE_PORT: String(probePort),
    },
    1,
    [
      ...[process.execPath, resolve('src/cli/cli.ts'), 'gateway', '--port', String(port)],
      ...['--upstream', upstream.address, '--issuer', audience, '--issuer-ca', 'certs/ca.crt', '--introspect', '2'],
      ...['--client-id', 'mallory', '--cert', 'certs/mallory.crt', '--key', 'certs/mallory.key'],
    ],
  )
  const ops = {
    url: `http://localhost:${opsPort}`,
    token: readFileSync(join(folder, 'data/ops-token'), 'utf8').trim(),
  }
  const administer = (method: string, path: string, body: object = {}) =>
    callOps({ ops } as unknown as Parameters<typeof callOps>[0], method, path, { body })
  const tokenOf = async (server: RunningServer, name: string) =>
    (await server.connect(name)).token({ client_id: name, token_binding: 'certificate' })
  const [alice, bob] = [await gateway.connect('alice'), await gateway.connect('bob')]
  const [first, second, ofBob] = [
    await tokenOf(issuer, 'alice'),
    await tokenOf(issuer, 'alice'),
    await tokenOf(issuer, 'bob'),
  ]
  for (const [connection, token] of [
    [alice, first],
    [alice, second],
    [bob, ofBob],
  ] as const)
    t.match(await connection.get('/a', token), { status: 200, text: 'ok' }, 'control')
  const revoke = (token: string) =>
    administer('POST', '/admin/revocations', { kind: 'token', value: claimsOf(token).jti })
  t.equal((await revoke(first)).status, 201)
  await eventually(async () => (await alice.get('/a', first)).status === 401)
  t.match(await alice.get('/a', first), { status: 401, body: { reason: 'revoked' } })
  const events = readFileSync(join(folder, 'gateway.jsonl'), 'utf8')
  t.match(
    events,
    new RegExp(
      `"detail":"inactive".*"jti":"${claimsOf(first).jti}"|"jti":"${claimsOf(first).jti}".*"detail":"inactive"`,
    ),
  )
  t.match(await alice.get('/a', second), { status: 200 }, 'another token of the client')
  t.equal((await administer('POST', '/admin/clients/bob/disable')).status, 200)
  await eventually(async () => (await bob.get('/a', ofBob)).status === 401)

  const probe = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${probePort}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  t.match(await probe('/health'), { status: 200, text: /alive/ })
  t.match(await probe('/ready'), { status: 200, text: /ready/ })
  const { text: metrics } = await probe('/metrics')
  t.match(metrics, /^tlsbound_ready 1$/m)
  t.match(metrics, /^tlsbound_gateway_requests_total\{route="\/",outcome="answered"\} \d+$/m)
  t.match(
    metrics,
    /^tlsbound_checks_total\{outcome="refused",reason="revoked",level="certificate",tls="TLSv1.3"\} \d+$/m,
  )
  t.notMatch(metrics, /tlsbound_store_|revocation_lag/)

  await issuer.end('SIGTERM')
  await eventually(async () => (await alice.get('/a', second)).status === 503)
  t.match(await alice.get('/a', second), { status: 503, body: { reason: 'issuer_unavailable' } }, 'unknown: refused')
  issuer = await startTlsbound(t, folder, ofIssuer)
  await eventually(async () => (await alice.get('/a', second)).status === 200)
  const since = gateway.stderr().length
  gateway.child.kill('SIGHUP')
  await gateway.seen(/certificate for the issuer were loaded again/, since)
  t.match(await alice.get('/a', await tokenOf(issuer, 'alice')), { status: 200 })
  t.equal((await gateway.end('SIGTERM')).code, 0)
  t.ok(existsSync(join(folder, 'data/gateway-keys.json')))
})

/** An issuer whose answers a test decides, and a gateway's questions to it. */
async function startIssuer(
  t: Test,
  answer: (token: string, response: ServerResponse) => { status?: number; body: string } | undefined,
) {
  const pki = makeDemoPki()
  const asked: string[] = []
  const server = createServer({ cert: pki.server.certificate, key: pki.server.key }, (request, response) => {
    const origin = `https://localhost:${(server.address() as AddressInfo).port}`
    if (request.method === 'GET')
      return void response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ issuer: origin, introspection_endpoint: `${origin}/ask` }))
    let form = ''
    request.on('data', chunk => (form += chunk))
    request.on('end', () => {
      const token = new URLSearchParams(form).get('token') ?? ''
      asked.push(token)
      const given = answer(token, response)
      if (given === undefined) return
      response.writeHead(given.status ?? 200, { 'content-type': 'application/json' }).end(given.body)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  let now = 0
  const introspection = createIntrospection({
    ...{ issuer: `https://localhost:${(server.address() as AddressInfo).port}`, clientId: 'gateway', lifetime: 10_000 },
    clock: () => now,
    material: { ca: pki.ca.certificate, cert: undefined, key: undefined },
  })
  t.teardown(() => introspection.close())
  const valid = { claims: { jti: 'a', client_id: 'alice' } }
  const check = introspection.extend(Object.assign(() => valid, { recheck: () => {} }) as unknown as TokenCheck)
  return {
    asked,
    advance: (milliseconds: number) => (now += milliseconds),
    check: async (token: string) => {
      try {
        await check({ headers: { authorization: `Bearer ${token}` } } as never)
        return 'accepted'
      } catch (error) {
        return (error as { detail: string }).detail
      }
    },
  }
}

t.test('uses an answer for a time, renews it in the background, and asks once at a time', async t => {
  let isActive = true
  const issuer = await startIssuer(t, () => ({ body: JSON.stringify({ active: isActive }) }))
  t.same(await Promise.all(Array.from({ length: 20 }, () => issuer.check('one'))), Array(20).fill('accepted'))
  t.equal(issuer.asked.length, 1)
  issuer.advance(4999)
  t.equal(await issuer.check('one'), 'accepted')
  t.equal(issuer.asked.length, 1)
  isActive = false
  issuer.advance(1)
  t.equal(await issuer.check('one'), 'accepted', 'with the answer that is known')
  await eventually(async () => (await issuer.check('one')) === 'inactive')
  t.equal(issuer.asked.length, 2)
  t.equal(await issuer.check('two'), 'inactive')
})

t.test('accepts nothing without an answer that says so', async t => {
  const answers = {
    'no json': { body: 'active' },
    'no object': { body: 'true' },
    'no active': { body: '{}' },
    'a text': { body: '{"active":"true"}' },
    error: { status: 500, body: '{"active":true}' },
    refused: { status: 401, body: '{"active":true}' },
    moved: { status: 302, body: '{"active":true}' },
    long: { body: `{"active":true,"x":"${'x'.repeat(300_000)}"}` },
    deep: { body: `{"active":true,"x":${'['.repeat(5000)}${']'.repeat(5000)}}` },
    good: { body: '{"active":true}' },
  }
  const details = {
    ...{ 'no json': 'not_json', 'no object': 'no_verdict', 'no active': 'no_verdict', 'a text': 'no_verdict' },
    ...{ error: 'status', refused: 'status', moved: 'redirect', long: 'too_large', deep: 'no_verdict' },
  }
  const issuer = await startIssuer(t, token => answers[token.replace('_', ' ') as keyof typeof answers])
  for (const name of Object.keys(answers)) {
    const found = await issuer.check(name.replace(' ', '_'))
    if (name === 'good') t.equal(found, 'accepted', 'control')
    else t.equal(found, details[name as keyof typeof details], name)
  }
  t.ok(mostAnswers >= 1000)
})

t.test('waits for an answer as a whole, and not for each of its parts', async t => {
  const issuer = await startIssuer(t, (token, response) => {
    if (token === 'good') return { body: '{"active":true}' }
    if (token === 'silent') return undefined
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"active":')
    const drip = setInterval(() => response.write(' '), 500)
    response.once('close', () => clearInterval(drip))
    return undefined
  })
  const started = performance.now()
  t.same(await Promise.all(['drip', 'silent'].map(issuer.check)), ['timed_out', 'timed_out'])
  t.ok(performance.now() - started < 2 * issuerTimeout)
  // More than the pool has connections: a request waits for one no longer than for an answer.
  const many = Array.from({ length: 2 * upstreamLimits.connections }, (_, index) => issuer.check(`drip ${index}`))
  t.same(new Set(await Promise.all(many)), new Set(['timed_out']))
  t.ok(performance.now() - started < 5 * issuerTimeout)
  t.equal(await issuer.check('good'), 'accepted', 'control')
})
