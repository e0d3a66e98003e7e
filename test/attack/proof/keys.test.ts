// Level proof for certificates with keys that cannot sign a proof: every grant refuses the request, and names the kinds of
// keys that work. Every other level is issued to them. N-57.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { confirm } from '../../../src/core/confirmation.ts'
import { readCertificate } from '../../../src/core/presenter.ts'
import { proofKeys } from '../../../src/core/proof-algorithm.ts'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refresh, register, startGrant } from '../../helpers/tokens/grants.ts'
import { exchange, exchangeGrant } from '../../helpers/tokens/outside-issuer.ts'

const generate = generateKeyPairSync as (type: string, options?: object) => ReturnType<typeof generateKeyPairSync>
/** Keys that TLS accepts and proofs do not, with their names. */
const unfit = {
  'ec secp521r1': generate('ec', { namedCurve: 'P-521' }),
  ed448: generate('ed448'),
  'rsa-pss 2048': generate('rsa-pss', {
    modulusLength: 2048,
    hashAlgorithm: 'sha256',
    mgf1HashAlgorithm: 'sha256',
    saltLength: 32,
  }),
  'ml-dsa-65': generate('ml-dsa-65'),
}
const fit = {
  ES256: generate('ec', { namedCurve: 'P-256' }),
  ES384: generate('ec', { namedCurve: 'P-384' }),
  EdDSA: generate('ed25519'),
  'PS256 RS256': generate('rsa', { modulusLength: 2048 }),
}
const grant_types = ['client_credentials', 'refresh_token', exchangeGrant]
const clients = [
  register('alice', { grant_types, token_bindings: ['certificate', 'proof', 'connection'] }),
  register('strict', { grant_types, token_bindings: undefined, tls_session_bound_access_tokens: true }),
]
const server = await startTestServer({ clients })
t.teardown(() => server.close())
const identityOf = (name: string, keyPair: Pick<Identity, 'privateKey' | 'publicKey'>) =>
  issueCertificate({ subject: [['CN', name]], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'], keyPair })
const as = (name: string, keyPair: unknown) => server.connect(identityOf(name, keyPair as Identity), { clientId: name })

for (const [kind, keyPair] of Object.entries(unfit))
  t.test(`refuses level proof to a certificate with a key of kind ${kind} at the token endpoint`, async t => {
    const alice = await as('alice', keyPair)
    const strict = await as('strict', keyPair)
    const refused = {
      status: 400,
      body: {
        error: 'invalid_request',
        reason: 'binding_unavailable',
        error_description: new RegExp(`${kind}.*Ed25519`),
      },
    }
    const event = {
      event: 'token.refused',
      reason: 'binding_unavailable',
      detail: 'no_proof_algorithm',
      facts: { found: kind, expected: proofKeys },
    }
    t.match(await alice.requestToken({ token_binding: 'proof' }), refused)
    t.match(server.events.at(-1), event)
    t.match(await strict.requestToken(), refused, 'by default')
    t.match(server.events.at(-1), event)

    const { access, refresh: token } = await startGrant(alice, { token_binding: 'certificate' })
    t.match(await alice.get('/api/whoami', access), { status: 200 }, 'control: level certificate')
    t.match(
      await alice.get('/api/whoami', await alice.token({ token_binding: 'connection' })),
      { status: 200 },
      'control',
    )
    t.match(await refresh(alice, token, { token_binding: 'proof' }), refused, 'by refresh')
    t.match(server.events.at(-1), event)
    t.match(await refresh(alice, token), { status: 200 }, 'the refresh token was not used up')
    t.match(await exchange(alice, access, { token_binding: 'proof' }), refused, 'by exchange')
    t.match(server.events.at(-1), event)
    t.match((await alice.get('/binding')).body, {
      certificate: { proof_algorithms: [] },
      token_bindings: ['certificate', 'connection'],
    })
  })

for (const [algorithms, keyPair] of Object.entries(fit))
  t.test(`issues level proof to a certificate that signs with ${algorithms}`, async t => {
    const alice = await as('alice', keyPair)
    const token = await alice.token({ token_binding: 'proof' })
    t.match(await alice.get('/api/whoami', token, alice.prove(token)), { status: 200 })
    const { body } = await alice.get('/binding')
    t.same(body.certificate.proof_algorithms, algorithms.split(' '))
    t.same(body.token_bindings, ['certificate', 'proof', 'connection'])
  })

t.test('offers level proof to no key without a proof algorithm', async t => {
  const issuer = issueCertificate({ subject: [['CN', 'authority']], ca: true })
  const bindings = { 'tls-exporter': 'A'.repeat(43) }
  for (const [kind, keyPair] of Object.entries({
    ...unfit,
    'ec brainpoolP256r1': generate('ec', { namedCurve: 'brainpoolP256r1' }),
    'ec secp256k1': generate('ec', { namedCurve: 'secp256k1' }),
    'rsa 1024': generate('rsa', { modulusLength: 1024 }),
  })) {
    const { x509 } = issueCertificate({ subject: [['CN', 'x']], issuer, keyPair: keyPair as unknown as Identity })
    const presenter = { certificate: readCertificate(x509), bindings }
    try {
      t.fail(`${kind}: ${JSON.stringify(confirm(presenter, 'proof'))}`)
    } catch (error) {
      const facts = { found: kind, expected: proofKeys }
      t.match(error, { reason: 'binding_unavailable', detail: 'no_proof_algorithm', facts }, kind)
    }
    for (const level of ['certificate', 'connection'] as const) t.ok(confirm(presenter, level), `${kind}, ${level}`)
  }
})

t.test('offers no level to a connection without an acceptable certificate', async t => {
  for (const who of [null, 'stranger'] as const)
    t.same((await (await server.connect(who)).get('/binding')).body.token_bindings, [])
})
