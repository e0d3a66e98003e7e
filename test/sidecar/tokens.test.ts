// The sidecar and its real client with a real server: expired tokens, lost connections, upstreams that refuse.
// GW04, GW07, GW08, GW10, GW11.
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { type ClientOptions, createClient } from '../../src/client/client.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { ask, makeFolder, startTestSidecar } from '../helpers/client/sidecar.ts'

const note = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"hello"}' } as const

async function start(t: Test, options: Partial<ClientOptions> = {}) {
  const { server, relay, origin, identity } = await startServerBehindRelay(t)
  const client = createClient({ origin, identity, ...options })
  const { address } = await startTestSidecar(t, { client }, { listen: { path: join(makeFolder(t), 's.sock') } })
  return { server, relay, client, address }
}

for (const http2 of [true, false])
  for (const tokenBinding of ['connection', 'certificate', 'proof'] as const)
    t.test(`over ${http2 ? 'HTTP/2' : 'HTTP/1.1'}, programs need no token at level ${tokenBinding} (GW07)`, async t => {
      const { server, address } = await start(t, { http2, tokenBinding })
      const seen = await Promise.all(Array.from({ length: 20 }, () => ask(address, '/api/whoami')))
      const told = seen.map(({ status, body }) => `${status} ${body.client_id} ${body.token_binding}`)
      t.same([...new Set(told)], [`200 alice ${tokenBinding}`])
      t.match(await ask(address, '/api/notes', note), { status: 201 })
      t.match(await ask(address, '/api/notes'), { status: 200, body: { notes: [{ text: 'hello' }] } })
      t.match(await ask(address, '/api/whoami', { method: 'HEAD' }), { status: 200, text: '' })
      const { events } = server
      t.notOk(
        events.some(({ event }) => event === 'token.refused'),
        'no request was refused',
      )
    })

t.test('replaces a revoked token, and sends a short body again with the new one (GW10)', async t => {
  for (const http2 of [true, false]) {
    const { server, client, address } = await start(t, { http2 })
    t.match(await ask(address, '/api/notes', note), { status: 201 })
    server.clock += 3600
    t.match(await ask(address, '/api/notes', note), { status: 201 })
    t.match(client.state().counts, { requests: 2, repeated: 1, tokens: 2 })

    server.clock += 3600
    const chunked = { ...note, body: Readable.from(['{"text":', '"hello"}']) }
    t.match(
      await ask(address, '/api/notes', chunked),
      { status: 401, body: { reason: 'expired' } },
      'a stream can be sent only once, so the program receives the refusal',
    )
    t.match(await ask(address, '/api/notes', note), { status: 201 })
    const { notes } = (await ask(address, '/api/notes')).body
    t.equal(notes.length, 3, 'no request was processed twice, and no refused request was processed')
  }
})

t.test('replaces a lost connection by a new one with its own token (GW07)', async t => {
  for (const http2 of [true, false]) {
    const { relay, client, address } = await start(t, { http2 })
    t.match(await ask(address, '/api/whoami'), { status: 200 })
    relay.cut()
    t.match(await ask(address, '/api/whoami'), { status: 200 })
    t.match(client.state().counts, { connections: 2, tokens: 2 })
    t.equal(client.state().lastProblem?.code ?? 'connection_lost', 'connection_lost')
  }
})

t.test('answers 503 with Retry-After while the upstream is unreachable, and recovers (GW04)', async t => {
  const { relay, server, address } = await start(t, { timeout: 0.3 })
  relay.target = undefined
  const refusal = { status: 503, headers: { 'retry-after': /^\d+$/ }, body: { error: 'temporarily_unavailable' } }
  t.match(await ask(address, '/api/whoami'), refusal)
  const { body } = await ask(address, '/_status')
  t.match(body, { requests_under_way: 0, client: { connections: [], lastProblem: { code: 'cannot_connect' } } })
  relay.target = server.port
  let answer = await ask(address, '/api/whoami')
  for (let turn = 0; turn < 20 && answer.status === 503; turn++) answer = await ask(address, '/api/whoami')
  t.match(answer, { status: 200 })
})

t.test('answers 502 with the remedy for problems that waiting does not solve (GW08, GW10)', async t => {
  const { server, origin, identity } = await startServerBehindRelay(t)
  const { mallory, stranger } = server.pki
  const as = ({ certificate, key }: typeof mallory) => ({ certificate, key, ca: identity.ca })
  for (const [what, options, expected] of [
    ['a client that is not registered', { identity: as(mallory) }, { reason: 'unknown_client' }],
    ['a level that is not allowed', { clientId: 'bob' }, { reason: 'client_mismatch' }],
    ['a scope that is not allowed', { scope: 'everything' }, { reason: 'scope_denied' }],
    ['an untrusted client', { identity: as(stranger), clientId: 'alice' }, { reason: 'certificate_untrusted' }],
    [
      'an untrusted server',
      { identity: { ...identity, ca: stranger.certificate } },
      { error_description: /authorities/ },
    ],
  ] as const) {
    const client = createClient({ origin, identity, timeout: 2, ...options })
    const { address } = await startTestSidecar(t, { client })
    t.match(await ask(address, '/api/whoami'), { status: 502, body: { error: 'upstream_failed', ...expected } }, what)
  }

  const elsewhere = issueCertificate({
    issuer: server.pki.ca,
    subject: [['CN', 'b']],
    altNames: [{ dns: 'b.example' }],
  })
  const other = await startServerBehindRelay(t, { pki: { ...server.pki, server: elsewhere } })
  const { address } = await startTestSidecar(t, { client: createClient({ origin: other.origin, identity }) })
  t.match(await ask(address, '/api/whoami'), {
    status: 502,
    body: { error_description: /is for DNS:b\.example, not for localhost/ },
  })
})

t.test('the status contains no secret', async t => {
  for (const tokenBinding of ['connection', 'certificate', 'proof'] as const) {
    const { server, address } = await start(t, { tokenBinding })
    await ask(address, '/api/whoami')
    const { text, body } = await ask(address, '/_status')
    t.match(body.client, { binding: tokenBinding, connections: [{ tls: 'TLSv1.3', token: { binding: tokenBinding } }] })
    t.notMatch(text, /eyJ|tlsbound_|PRIVATE/)
    t.notOk(text.includes(server.pki.alice.key))
  }
})
