// Signatures of proofs: the key of the certificate, its algorithm and its encoding; and the accepted kinds of key. N-57, N-63;
// draft-mw-oauth-tls-session-bound-tokens §2.3.1, §2.3.3; RFC 7518 §3.1, RFC 8725 §2.1.
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { buildBindingProof } from '../../src/core/binding-proof.ts'
import { proofAlgorithms, proofAlgorithmsOf } from '../../src/core/proof-algorithm.ts'
import type { KeyPair } from '../../src/pki/signing.ts'
import { derSigner, proofSigners, pss, type Signer } from '../helpers/tokens/forge-proof.ts'
import { signatureOf, withOtherS, withSignature } from '../helpers/tokens/forge-token.ts'
import { makePresenter } from '../helpers/tokens/proof-presenter.ts'

const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
const { forge, verdict, header, payload, key } = makePresenter('ES256', curve('P-256'))
const withRsa = makePresenter('PS256', rsa(2048))
const invalid = 'proof_invalid'

t.beforeEach(t => void t.equal(verdict(forge()), 'accepted', 'control'))

t.test('accepts only a signature by the key of the certificate, in the encoding of its algorithm', async t => {
  const proof = forge()
  const signature = signatureOf(proof)
  const half = signature.subarray(0, 32)
  for (const [name, octets] of Object.entries({
    ...{ zeros: Buffer.alloc(64), ones: Buffer.alloc(64, 255), 'r = 0': Buffer.concat([Buffer.alloc(32), half]) },
    ...{
      's = 0': Buffer.concat([half, Buffer.alloc(32)]),
      half,
      cut: signature.subarray(0, 63),
      later: signature.subarray(1),
    },
    ...{ longer: Buffer.concat([signature, Buffer.alloc(1)]), twice: Buffer.concat([signature, signature]) },
    ...{ swapped: Buffer.concat([signature.subarray(32), half]), DER: derSigner(Buffer.from(proof), key) },
  }))
    t.equal(verdict(withSignature(proof, octets)), invalid, name)
  t.equal(verdict(withSignature(proof, withOtherS(signature))), 'accepted', 'both (r, s) and (r, n - s) verify')
  t.equal(verdict(forge({ key: curve('P-256').privateKey })), invalid, 'another key')
  t.equal(verdict(forge({ sign: derSigner })), invalid, 'DER')
  const other = forge({ payload: { ...payload, jti: 'other' } })
  t.equal(verdict(withSignature(proof, signatureOf(other))), invalid, 'the signature of another proof')
})

t.test('derives the algorithm from the key of the certificate, not from the header (N-57, N-63)', async t => {
  const hmac: Signer = (input, by) =>
    createHmac('sha256', createPublicKey(by).export({ type: 'spki', format: 'pem' }))
      .update(input)
      .digest()
  const ecdsa = proofSigners.ES256 as Signer
  const named = (alg: string, sign: Signer) => forge({ header: { ...header, alg }, sign })
  for (const alg of ['none', 'None', '', 'ES384', 'ES512', 'ES256K', 'EdDSA', 'RS256', 'PS256', 'HS256', 'ES256 '])
    for (const sign of [ecdsa, proofSigners.ES384 as Signer, hmac, () => Buffer.alloc(0)])
      t.equal(verdict(named(alg, sign)), invalid, alg)

  const ofRsa = (alg: string, sign: Signer) => withRsa.forge({ header: { ...withRsa.header, alg }, sign })
  const { PS256, RS256, RS1, RS512 } = proofSigners as Record<string, Signer>
  for (const [alg, sign, wanted] of [
    ['PS256', PS256, 'accepted'],
    ['RS256', RS256, 'accepted'],
    ['PS256', RS256, invalid],
    ['RS256', PS256, invalid],
    ['PS256', pss('sha256', 0), invalid],
    ['PS256', pss('sha256', 20), invalid],
    ['PS256', pss('sha256', 64), invalid],
    ['PS384', pss('sha384', 48), invalid],
    ['PS512', pss('sha512', 64), invalid],
    ['RS512', RS512, invalid],
    ['RS256', RS512, invalid],
    ['RS1', RS1, invalid],
    ['ES256', PS256, invalid],
    ['none', () => Buffer.alloc(0), invalid],
  ] as [string, Signer, string][])
    t.equal(withRsa.verdict(ofRsa(alg, sign)), wanted, `${alg}`)
})

t.test('accepts each supported kind of key with its own algorithms only (N-63)', async t => {
  const kinds: [algorithms: string[], pair: KeyPair][] = [
    [['ES256'], curve('P-256')],
    [['ES384'], curve('P-384')],
    [['EdDSA'], generateKeyPairSync('ed25519')],
    [['PS256', 'RS256'], rsa(3072)],
  ]
  for (const [algorithms, pair] of kinds) {
    t.same(proofAlgorithmsOf(pair.publicKey), algorithms)
    t.same(proofAlgorithmsOf(pair.privateKey), algorithms)
    const made = makePresenter(algorithms[0] as string, pair)
    t.equal(made.verdict(made.forge()), 'accepted', 'forged')
    const { thumbprint } = made.presenter.certificate
    t.equal(
      made.verdict(buildBindingProof(made.payload, pair.privateKey, thumbprint)),
      'accepted',
      'built by buildBindingProof',
    )
    for (const alg of [...proofAlgorithms, 'ES512', 'none'].filter(name => !algorithms.includes(name)))
      t.equal(made.verdict(made.forge({ header: { ...made.header, alg } })), invalid, `${alg} by ${algorithms}`)
  }
})

t.test('rejects other kinds of key, both to build and to verify a proof', async t => {
  const pairs: Record<string, [KeyPair, alg: string, signingKey?: KeyObject]> = {
    'P-521': [curve('P-521'), 'ES512'],
    secp256k1: [curve('secp256k1'), 'ES256K'],
    'secp256k1 as ES256': [curve('secp256k1'), 'ES256'],
    brainpool: [curve('brainpoolP256r1'), 'ES256'],
    'RSA-1024': [rsa(1024), 'RS256'],
    'RSA-2040': [rsa(2040), 'PS256'],
    'RSASSA-PSS': [generateKeyPairSync('rsa-pss', { modulusLength: 2048 }), 'PS256'],
    Ed448: [generateKeyPairSync('ed448'), 'EdDSA'],
    X25519: [generateKeyPairSync('x25519'), 'EdDSA', generateKeyPairSync('ed25519').privateKey],
  }
  for (const [name, [pair, alg, signingKey = pair.privateKey]] of Object.entries(pairs)) {
    t.same(proofAlgorithmsOf(pair.publicKey), [], name)
    t.throws(() => buildBindingProof(payload, pair.privateKey, 'x5t'), { name: 'TypeError' }, name)
    const made = makePresenter(alg, pair)
    t.equal(made.verdict(made.forge({ key: signingKey })), invalid, name)
  }
})
