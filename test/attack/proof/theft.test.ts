// A level-proof token and its proof, both stolen, on other connections: N-57, N-59; binding-proof draft §6.1. CB01, CB02,
// CB03, CB05, CB20, CB26, PK01, PK02, LK01. Also what an attacker with the private key can do.
import t from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { type Answer, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { traceProofs } from '../../helpers/tokens/proof-traces.ts'

const jwk = await generateTokenKey('ES256')
const options = { env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }, signingKeys: [jwk] }
const server = await startTestServer(options)
t.teardown(() => server.close())
const { pki } = server
const replica = await startTestServer({ ...options, pki })
t.teardown(() => replica.close())

const whoami = '/api/whoami'
const level = { token_binding: 'proof' }
const good = { status: 200, body: { client_id: 'alice', token_binding: 'proof' } }
const invalid = refusal('proof_invalid', 'invalid_proof')
const missing = refusal('proof_missing', 'use_session_binding')
const { prove, expectNone } = traceProofs()

const kinds = [
  ['TLS 1.3, HTTP/1.1', { ALPNProtocols: ['http/1.1'] }],
  ['TLS 1.3, HTTP/2', { ALPNProtocols: ['h2'] }],
  ['TLS 1.2, HTTP/1.1', { ALPNProtocols: ['http/1.1'], maxVersion: 'TLSv1.2' }],
  ['TLS 1.2, HTTP/2', { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' }],
] as const

for (const [kind, tls] of kinds)
  t.test(`rejects a stolen token with its proof on any other connection: ${kind} (CB01, CB02, CB03, N-59)`, async t => {
    const victim = await server.connect('alice', tls)
    const token = await victim.token(level)
    const proof = prove(victim, token)
    t.match(await victim.get(whoami, token, proof), good, 'control')

    const again = await server.connect('alice', tls)
    t.match(await again.get(whoami, token), missing)
    t.match(await again.get(whoami, token, proof), invalid, 'CB01: the same certificate')
    for (const [, other] of kinds)
      t.match(await (await server.connect('alice', other)).get(whoami, token, proof), invalid, 'over every protocol')
    for (const name of ['bob', 'mallory'] as const) {
      const thief = await server.connect(name, tls)
      t.match(await thief.get(whoami, token, proof), refusal('certificate_mismatch'), `CB02: ${name}`)
      t.match(
        await thief.get(whoami, token, prove(thief, token)),
        refusal('certificate_mismatch'),
        `${name}, with a proof of its own`,
      )
    }
    const [stranger, nobody] = [await server.connect('stranger', tls), await server.connect(null, tls)]
    t.match(await stranger.get(whoami, token, proof), refusal('certificate_untrusted'))
    t.match(await nobody.get(whoami, token, proof), refusal('no_certificate'), 'CB03')
    const bob = await server.connect('bob', tls)
    const own = await bob.token(level)
    t.match(await bob.get(whoami, own, proof), invalid, 'the proof of another token is rejected too')
    t.match(await bob.get(whoami, own, prove(bob, own)), { status: 200, body: { client_id: 'bob' } }, 'control')

    t.match(await victim.get(whoami, token, proof), good, 'it still works on its own connection')
    victim.close()
    t.match(await again.get(whoami, token, proof), invalid, 'still rejected after its own connection has ended')
    t.match(await again.get(whoami, token, prove(again, token)), good, 'a new proof is accepted')
  })

t.test(
  'accepts the stolen private key on another connection at level proof, and rejects it at level connection',
  async t => {
    const victim = await server.connect('alice')
    const [proven, bound] = [await victim.token(level), await victim.token()]
    t.match(await victim.get(whoami, bound), { status: 200 }, 'control')
    const withKey = await server.connect('alice')
    t.match(await withKey.get(whoami, proven, prove(withKey, proven)), good, 'not prevented at this level')
    t.match(await withKey.get(whoami, bound, prove(withKey, bound)), refusal('connection_mismatch'))
  },
)

t.test('rejects the token with another certificate of the same name or key (PK01, PK02)', async t => {
  const order = { subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['clientAuth'] } as const
  const victim = await server.connect('alice')
  const token = await victim.token(level)
  t.match(await victim.get(whoami, token, prove(victim, token)), good, 'control')
  for (const identity of [issueCertificate(order), issueCertificate({ ...order, keyPair: pki.alice })]) {
    const other = await server.connect(identity)
    for (const proof of [prove(victim, token), prove(other, token)])
      t.match(await other.get(whoami, token, proof), refusal('certificate_mismatch'))
    const own = await other.token(level)
    t.match(await other.get(whoami, own, prove(victim, own)), invalid)
    t.match(await other.get(whoami, own, prove(other, own)), good, 'control')
  }
})

t.test('rejects a proof for one server at another, although both accept the token (draft §6.1.2)', async t => {
  const [here, there] = [await server.connect('alice'), await replica.connect('alice')]
  const token = await here.token(level)
  const [mine, theirs] = [prove(here, token), prove(there, token)]
  t.match(await here.get(whoami, token, mine), good)
  t.match(await there.get(whoami, token, theirs), good)
  t.match(await here.get(whoami, token, theirs), invalid)
  t.match(await there.get(whoami, token, mine), invalid)
  t.match(await here.get(whoami, token, mine), good, 'the next proof is accepted')
})

t.test('keeps each proof on its connection through a reload', async t => {
  const victim = await server.connect('alice')
  const token = await victim.token(level)
  const proof = prove(victim, token)
  t.match(await victim.get(whoami, token, proof), good)
  const { certificate: cert, key } = pki.server
  server.tls.reload({ cert, key, ca: pki.ca.certificate })
  t.match(await victim.get(whoami, token, proof), good)
  const again = await server.connect('alice')
  t.match(await again.get(whoami, token, proof), invalid)
  t.match(await again.get(whoami, token, prove(again, token)), good)
})

t.test('requires a proof on a connection that tries a stolen TLS session (CB05)', async t => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const victim = await server.connect('alice', { maxVersion })
    let session = victim.socket.getSession()
    victim.socket.on('session', ticket => (session = ticket))
    const token = await victim.token(level)
    const proof = prove(victim, token)
    t.match(await victim.get(whoami, token, proof), good)
    const resume = { maxVersion, session: session as Buffer }
    t.match(await (await server.connect('alice', resume)).get(whoami, token, proof), invalid, maxVersion)
    t.match(await (await server.connect(null, resume)).get(whoami, token, proof), refusal('no_certificate'))
  }
})

t.test('ignores headers about other connections (CB20)', async t => {
  const [victim, thief] = [await server.connect('alice'), await server.connect('alice')]
  const token = await victim.token(level)
  const proof = prove(victim, token)
  const { ekm } = JSON.parse(Buffer.from(proof.split('.')[1] as string, 'base64url').toString())
  const headers = {
    'tls-exporter': ekm,
    'x-tls-exporter': ekm,
    'concealed-auth-export': `:${Buffer.from(ekm, 'base64url').toString('base64')}:`,
    'client-cert': `:${pki.alice.x509.raw.toString('base64')}:`,
    dpop: proof,
  }
  t.match(await victim.call(whoami, { token, proof, headers }), good, 'correct values have no effect')
  t.match(await thief.call(whoami, { token, proof, headers }), invalid)
  t.match(await thief.call(whoami, { token, headers }), missing)
  t.match(await thief.call(`${whoami}?session_binding_proof=${proof}`, { token }), missing)
})

t.test('verifies each request of an HTTP/2 connection with its own proof (CB26)', async t => {
  const victim = await server.connect('alice')
  const both = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const token = await victim.token(level)
  const proofs = [prove(both, token), prove(victim, token), undefined]
  const wanted = [200, 401, 401]
  const answers = await Promise.all(Array.from({ length: 60 }, (_, at) => both.get(whoami, token, proofs[at % 3])))
  t.same(
    answers.map(({ status }) => status),
    answers.map((_, at) => wanted[at % 3]),
  )
})

t.test('accepts proofs of every accepted kind of key, each on its own connection (N-57)', async t => {
  for (const keyType of ['ec', 'ec384', 'ed25519', 'rsa'] as const) {
    const subject = [['CN', 'alice']] as const
    const identity = issueCertificate({ subject, issuer: pki.ca, keyType, extendedKeyUsage: ['clientAuth'] })
    const [one, other] = [await server.connect(identity), await server.connect(identity)]
    const token = await one.token(level)
    const proof = prove(one, token)
    t.match(await one.get(whoami, token, proof), good, keyType)
    t.match(await other.get(whoami, token, proof), invalid, keyType)
  }
})

t.test('writes no proof and no keying material to any output (LK01, I4)', async t => {
  const victim = await server.connect('alice')
  const token = await victim.token(level)
  const proof = prove(victim, token)
  const answers: Answer[] = [
    await victim.get(whoami, token, `${proof}x`),
    await victim.get('/binding', token, proof),
    await victim.get('/nowhere', token, proof),
    await victim.get(`${whoami}?${proof}`, token),
    await victim.call('/oauth/token', { method: 'POST', headers: { 'session-binding-proof': proof }, body: proof }),
  ]
  expectNone(t, server, answers)
})
