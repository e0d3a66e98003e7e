// Checks every test vector of test/vectors/ with this implementation, its signatures with jose, and its proofs with Python and
// OpenSSL. N-56 – N-59, N-63; draft-mw-oauth-tls-session-bound-tokens §2.3, §2.4, §3.3.
import { spawnSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, hash, X509Certificate } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { compactVerify, jwtVerify } from 'jose'
import t from 'tap'
import { isPerRequest, isReusable, type ProofClaims, verifyBindingProof } from '../../src/core/binding-proof.ts'
import type { ChannelBindings } from '../../src/core/channel-binding.ts'
import { confirm, verifyConfirmation } from '../../src/core/confirmation.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { type Presenter, readCertificate } from '../../src/core/presenter.ts'
import { run } from '../helpers/client/peers.ts'
import { readVectors, type TestKey, vectorFolder } from '../helpers/vectors.ts'

const { keys } = readVectors('keys.json')
const proofs = readVectors('binding-proof.json')
const confirmations = readVectors('confirmation.json')
const find = (kid: string) => keys.find(key => key.kid === kid) as TestKey
const certificateOf = (kid: string) => new X509Certificate(Buffer.from(find(kid).x5c?.[0] as string, 'base64'))
const s256 = (octets: string) => hash('sha256', Buffer.from(octets, 'base64url'), 'base64url')

/** Returns the outcome in the form of the vectors; rethrows any error that is not a refusal. */
function outcomeOf(decide: () => string): string {
  try {
    return decide()
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}

t.test('labels the keys as public, and pairs them with their certificates', async t => {
  t.match(readVectors('keys.json').about, /PUBLIC TEST KEYS/)
  for (const key of keys) {
    t.match(key.kid, /^PUBLIC-TEST-KEY-/)
    if (key.x5c === undefined) continue
    const x509 = certificateOf(key.kid)
    t.match(x509.subject, /PUBLIC-TEST-KEY-.*never trust/)
    t.ok(x509.checkPrivateKey(createPrivateKey({ key, format: 'jwk' })), key.kid)
    t.equal(readCertificate(x509).thumbprint, key['x5t#S256'])
  }
})

t.test('verifies each proof with the outcome of its vector (N-57, N-59)', async t => {
  t.ok(proofs.vectors.length > 100)
  t.equal(new Set(proofs.vectors.map(({ name }) => name)).size, proofs.vectors.length, 'names are unique')
  for (const vector of proofs.vectors) {
    const { kid, ekm } = proofs.connections[vector.connection] as { kid: string; ekm: string | null }
    const presenter: Presenter = {
      certificate: readCertificate(certificateOf(kid)),
      bindings: {},
      ekm: ekm ?? undefined,
    }
    const { text: token, cnf } = proofs.tokens[vector.token] as { text: string; cnf: object }
    const [method, target] = vector.request.split(' ') as [string, string]
    let claims: ProofClaims | undefined
    const verify = (proof: string) => () => {
      claims = verifyBindingProof(proof, { token, method, target }, presenter, vector.now)
    }
    const prove = vector.proof === null ? undefined : verify(vector.proof)
    const label = `${vector.name}: ${vector.wrong ?? 'valid'}`
    t.equal(
      outcomeOf(() => verifyConfirmation(cnf, presenter, prove)),
      vector.outcome,
      label,
    )
    t.equal(
      vector.wrong === undefined,
      vector.outcome === 'proof',
      `${label}: a rejected proof has a description of its fault`,
    )
    if (claims === undefined) continue
    t.equal(isPerRequest(claims), vector.per_request, label)
    t.equal(isReusable(claims), vector.reusable, label)
  }
})

t.test('agrees with jose about the signatures', async t => {
  const algorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256']
  for (const { name, connection, proof, jws } of proofs.vectors) {
    if (proof === null || jws === 'varies') continue
    const key = certificateOf(proofs.connections[connection]?.kid as string).publicKey
    const verified = compactVerify(proof, key, { algorithms })
    if (jws === 'valid') await t.resolves(verified, `${name}: valid`)
    else await t.rejects(verified, `${name}: not valid`)
  }
})

t.test('has tokens of the issuer that carry the cnf in the file', async t => {
  const key = createPublicKey(createPrivateKey({ key: find('PUBLIC-TEST-KEY-issuer'), format: 'jwk' }))
  const currentDate = new Date(1000 * (proofs.vectors[0]?.now as number))
  for (const [name, { text, cnf }] of Object.entries(proofs.tokens)) {
    if (name === 'opaque') continue
    const { payload } = await jwtVerify(text, key, { issuer: proofs.issuer, typ: 'at+jwt', currentDate })
    t.same(payload.cnf, cnf, name)
  }
})

function presenterOf(connection: string): Presenter {
  const { kid, bindings } = confirmations.connections[connection] as (typeof confirmations.connections)[string]
  const offered = Object.entries(bindings).map(([type, octets]) => [type, s256(octets)])
  return { certificate: readCertificate(certificateOf(kid)), bindings: Object.fromEntries(offered) as ChannelBindings }
}

t.test('issues to each connection the cnf of its vector (N-58)', async t => {
  for (const { connection, level, outcome, cnf } of confirmations.issue)
    if (cnf !== undefined) t.same(confirm(presenterOf(connection), level), cnf, `${connection}, ${level}`)
    else t.throws(() => confirm(presenterOf(connection), level), { name: 'OAuthError', reason: outcome })
})

t.test('verifies each presented cnf with the outcome of its vector', async t => {
  for (const { name, connection, proof, claims, outcome } of confirmations.present) {
    const decide = () => verifyConfirmation(claims.cnf, presenterOf(connection), proof ? () => {} : undefined)
    t.equal(outcomeOf(decide), outcome, name)
  }
})

t.test('agrees with an implementation in Python and OpenSSL about every proof (N-57)', async t => {
  const { status, stdout } = await run(t, 'python3', ['verify.py'], { cwd: fileURLToPath(vectorFolder) })
  t.match({ status, stdout }, { status: 0, stdout: `${proofs.vectors.length} vectors, 0 differ` }, stdout)
})

t.test('generates the files from their tables', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/vectors.ts'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})
