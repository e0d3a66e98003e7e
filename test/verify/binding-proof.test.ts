// Tokens at level proof: valid on every connection of their certificate, with a proof that was signed for that connection.
// draft-mw-oauth-tls-session-bound-tokens §2–§3; N-56 – N-63. Forms and claims of proofs: test/core/binding-proof.test.ts.
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { type IssuerKeys, mutualTls, requireToken } from 'tlsbound'
import { openConnection } from '../../src/testing/connection.ts'
import { startTestServer } from '../../src/testing/server.ts'

const proof = { token_binding: 'proof' }
const server = await startTestServer({
  env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' },
  routes: app => {
    app.get('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone')
    app.post('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone')
    app.get('/proven', { config: { requireToken: { binding: 'proof' } } }, () => 'proven')
    app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
  },
})
t.teardown(() => server.close())
const { pki } = server
const missing = { status: 401, body: { error: 'use_session_binding', reason: 'proof_missing' } }
const invalid = { status: 401, body: { error: 'invalid_proof', reason: 'proof_invalid' } }
const accepted = { status: 200, body: { token_binding: 'proof' } }

t.test('issues a token that names the certificate and the label, and works after a reconnect (N-57, N-58)', async t => {
  const alice = await server.connect('alice')
  const answer = await alice.requestToken(proof)
  t.match(answer, { status: 200, body: { token_binding: 'proof' } })
  const token: string = answer.body.access_token
  const { cnf } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
  t.same(Object.keys(cnf), ['x5t#S256', 'tls_exp'])
  t.equal(cnf.tls_exp, 'EXPORTER-oauth-tls-session-bound', 'N-19, N-56')

  for (const options of [{}, { ALPNProtocols: ['h2'] }, { maxVersion: 'TLSv1.2' }] as const) {
    const connection = await server.connect('alice', options)
    t.match(await connection.get('/api/whoami', token), missing, 'without a proof (N-47)')
    const signed = connection.prove(token)
    t.match(await connection.get('/api/whoami', token, signed), accepted)
    t.match(await connection.get('/api/whoami', token, signed), accepted, 'the same proof for the next request')
    t.match(await connection.get('/api/whoami', token), missing, 'never without a proof (N-59)')
    t.match(await connection.get('/proven', token, signed), { status: 200 })
    t.match(await connection.get('/strict', token, signed), { body: { reason: 'binding_too_weak' } })
  }
})

t.test('rejects a stolen token with its proof on another connection (N-47, N-59)', async t => {
  const alice = await server.connect('alice')
  const token = await alice.token(proof)
  const signed = alice.prove(token)
  t.match(await alice.get('/api/whoami', token, signed), accepted, 'control')
  t.match(await (await server.connect('alice')).get('/api/whoami', token, signed), invalid, 'even with the same key')
  const bob = await server.connect('bob')
  const mismatch = { status: 401, body: { error: 'invalid_token', reason: 'certificate_mismatch' } }
  t.match(await bob.get('/api/whoami', token, signed), mismatch)
  t.match(await bob.get('/api/whoami', token, bob.prove(token)), mismatch)
  t.match(await alice.get('/api/whoami', token, signed), accepted, 'alice is not affected')
})

t.test('requires a new proof for a renewed token', async t => {
  const alice = await server.connect('alice')
  const [one, two] = [await alice.token(proof), await alice.token(proof)]
  t.match(await alice.get('/api/whoami', one, alice.prove(one)), accepted)
  t.match(await alice.get('/api/whoami', two, alice.prove(one)), invalid)
  t.match(await alice.get('/api/whoami', two, alice.prove(two)), accepted)
  t.match(await alice.get('/api/whoami', one, alice.prove(one)), accepted, 'both are valid in parallel')
})

t.test(
  'checks the window of iat at the first use on a connection; later the proof is valid as long as its token (N-63)',
  async t => {
    const alice = await server.connect('alice')
    const token = await alice.token(proof)
    const { clock } = server
    for (const iat of [clock - 61, clock + 6, 0])
      t.match(await alice.get('/api/whoami', token, alice.prove(token, { iat })), invalid, `${iat - clock} s`)
    const later = await server.connect('alice')
    t.match(await later.get('/api/whoami', token, later.prove(token, { iat: clock + 5 })), accepted, 'control')
    const signed = alice.prove(token, { iat: clock - 60 })
    t.match(await alice.get('/api/whoami', token, signed), accepted, 'control: the oldest accepted')
    server.clock += 200
    t.match(await alice.get('/api/whoami', token, signed), accepted)
    t.match(await (await server.connect('alice')).get('/api/whoami', token, signed), invalid)
    t.match(
      await alice.get('/api/whoami', token, alice.prove(token, { iat: clock })),
      invalid,
      'a new proof must be recent',
    )
    server.clock += 100
    t.match(await alice.get('/api/whoami', token, signed), { status: 401, body: { reason: 'expired' } })
    server.clock = clock
  },
)

t.test('accepts a per-request proof for one request only (N-59 i)', async t => {
  for (const token_binding of ['proof', 'certificate', 'connection']) {
    const alice = await server.connect('alice')
    const token = await alice.token({ token_binding })
    const prove = (claims = {}) =>
      alice.prove(token, { jti: crypto.randomUUID(), htm: 'GET', htu: '/alone', ...claims })
    const once = prove()
    t.match(await alice.get('/alone?x=1', token, once), { status: 200 }, 'control')
    t.match(await alice.get('/alone', token, once), invalid, 'the same again')
    t.match(await alice.get('/alone', token, prove()), { status: 200 }, 'the next one')
    t.match(await alice.get('/alone', token), missing)
    t.match(await alice.get('/alone', token, alice.prove(token)), invalid, 'a proof for the whole connection')
    for (const left of ['jti', 'htm', 'htu'] as const)
      t.match(await alice.get('/alone', token, prove({ [left]: undefined })), invalid, `without ${left}`)
    t.match(await alice.get('/alone', token, prove({ htm: 'POST' })), invalid)
    t.match(await alice.get('/alone', token, prove({ htu: '/other' })), invalid)
    t.match(await alice.get('/alone', token, prove({ htu: `${server.origin}/alone` })), { status: 200 })
    t.match(await alice.call('/alone', { method: 'POST', body: '', token, proof: prove() }), invalid)
    t.match(
      await alice.call('/alone', { method: 'POST', body: '', token, proof: prove({ htm: 'POST' }) }),
      { status: 200 },
      'control',
    )
  }
})

t.test('verifies the claims of a per-request proof on every route', async t => {
  const alice = await server.connect('alice')
  const token = await alice.token(proof)
  const once = alice.prove(token, { jti: 'once' })
  t.match(await alice.get('/api/whoami', token, once), accepted)
  t.match(await alice.get('/api/whoami', token, once), invalid)
  const forReading = alice.prove(token, { htm: 'GET', htu: '/api/notes' })
  t.match(await alice.get('/api/notes', token, forReading), { status: 200 })
  t.match(await alice.get('/api/notes', token, forReading), { status: 200 }, 'without jti it can be used again')
  t.match(await alice.get('/api/whoami', token, forReading), invalid)
})

t.test('rejects two proofs in one request, and malformed ones (N-63)', async t => {
  const alice = await server.connect('alice')
  const token = await alice.token(proof)
  const signed = alice.prove(token)
  const send = (value: string | string[]) =>
    alice.call('/api/whoami', { token, headers: { 'session-binding-proof': value } })
  t.match(await send([signed, signed]), invalid)
  for (const value of [
    '',
    'x',
    `${signed},${signed}`,
    `${signed} `.repeat(2),
    signed.slice(0, -4),
    `${signed}AA`,
    token,
  ])
    t.match(await send(value), invalid, value.slice(0, 20))
  t.match(await send(signed), accepted, 'control')
})

t.test('neither issues nor accepts such a token on a connection without channel binding (N-63)', async t => {
  const token = await (await server.connect('alice')).token(proof)
  const bare = await server.connect('alice', { maxVersion: 'TLSv1.2', secureOptions: 1 })
  t.match(await bare.requestToken(proof), { status: 400, body: { reason: 'binding_unavailable' } })
  t.match(await bare.get('/api/whoami', token, bare.prove(token)), invalid)
  t.match(await bare.requestToken({ token_binding: 'certificate' }), { status: 200 }, 'control')
})

t.test('works on a resource server of another origin that has only the issuer’s keys', async t => {
  const alice = await server.connect('alice')
  const jwks = (await alice.get('/oauth/jwks')).body as IssuerKeys
  const issuer = 'https://localhost:8443'
  const app = Fastify({
    serverFactory: mutualTls({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }),
  })
  await app.register(requireToken, { issuer, audience: issuer, jwks })
  app.get('/', request => ({ hello: request.token.claims.sub, level: request.token.binding }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const token = await alice.token(proof)
  const { port } = app.server.address() as AddressInfo
  const identity = { cert: pki.alice.certificate, key: pki.alice.key, ca: pki.ca.certificate }
  const there = await openConnection({ host: '127.0.0.1', port, servername: 'localhost', ...identity }, 'alice')
  t.teardown(() => there.close())
  t.match(await there.get('/', token, there.prove(token)), { status: 200, body: { hello: 'alice', level: 'proof' } })
  t.match(await there.get('/', token, alice.prove(token)), invalid)
  t.match(await there.get('/', token), missing)
  t.match(await there.get('/', await alice.token()), { status: 401, body: { reason: 'connection_mismatch' } })
})

t.test('records the token but not the proof in the events of refusals', async t => {
  const alice = await server.connect('alice')
  const token = await alice.token(proof)
  const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
  const before = server.events.length
  await alice.get('/api/whoami', token)
  await alice.get('/api/whoami', token, alice.prove('another'))
  t.match(server.events.slice(before), [
    { event: 'token.refused', reason: 'proof_missing', status: 401, jti, client_id: 'alice' },
    { event: 'token.refused', reason: 'proof_invalid', status: 401, jti, client_id: 'alice' },
  ])
  const ekm = JSON.parse(Buffer.from(alice.prove(token).split('.')[1] as string, 'base64url').toString()).ekm
  t.notMatch(JSON.stringify(server.events), ekm)
  t.notMatch(JSON.stringify((await alice.get('/binding')).body), ekm)
})
