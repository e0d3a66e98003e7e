// Invalid proofs, each with one fault, which `wrong` describes. Faults inside their JSON are in bad-claims.ts.
import { createHmac, createPublicKey } from 'node:crypto'
import { derSigner, proofSigners, pss, type Signer } from '../../test/helpers/tokens/forge-proof.ts'
import { encode, signatureOf, withSignature } from '../../test/helpers/tokens/forge-token.ts'
import { ekmOf, type ProofCase } from './proof-case.ts'

/** The three segments, each changed on its own. */
const respell =
  (change: (segment: string) => string, which: readonly number[] = [0, 1, 2]) =>
  (proof: string) =>
    proof
      .split('.')
      .map((segment, index) => (which.includes(index) ? change(segment) : segment))
      .join('.')
const resign = (change: (signature: Buffer) => Buffer) => (proof: string) =>
  withSignature(proof, change(signatureOf(proof)))
const flip = resign(signature => Buffer.from(signature.map((octet, at) => (at === 20 ? octet ^ 1 : octet))))
/** The last character of a segment of 32 or 64 octets has unused bits. */
const strayBits = (segment: string) => segment.replace(/.$/, last => ({ A: 'B', Q: 'R', g: 'h', w: 'x' })[last] ?? last)
const hmacWithPublicKey: Signer = (input, key) =>
  createHmac('sha256', createPublicKey(key).export({ type: 'spki', format: 'pem' }))
    .update(input)
    .digest()
const nothing: Signer = () => Buffer.alloc(0)

const stolen: readonly ProofCase[] = [
  { name: 'no proof', wrong: 'there is no proof', spell: () => null, outcome: 'proof_missing' },
  {
    name: 'another certificate',
    wrong: "token and proof are those of p256's certificate",
    connection: 'other',
    token: 'p256',
    madeOn: 'p256',
    outcome: 'certificate_mismatch',
    jws: 'invalid',
  },
  {
    name: 'another connection',
    wrong: 'token and proof are those of an earlier connection of the same certificate',
    connection: 'p256, a later connection',
    madeOn: 'p256',
  },
  {
    name: 'another certificate, its own proof',
    wrong: "the token is that of p256's certificate",
    connection: 'other',
    token: 'p256',
    outcome: 'certificate_mismatch',
  },
  {
    name: 'a renewed certificate with an old token',
    wrong: 'the token is that of another certificate of the same key',
    connection: 'p256-renewed',
    token: 'p256',
    outcome: 'certificate_mismatch',
  },
  {
    name: 'a renewed certificate with an old thumbprint',
    wrong: 'the header has the thumbprint of another certificate of the same key',
    connection: 'p256-renewed',
    madeOn: 'p256',
    payload: { ekm: ekmOf('p256-renewed') },
  },
  {
    name: 'no keying material',
    wrong: 'the connection has no channel binding, TLS 1.2 without the extended master secret',
    connection: 'p256, without keying material',
  },
]

const signatures: readonly ProofCase[] = [
  ...Object.entries({ p256: 'ES256', p384: 'ES384', ed25519: 'EdDSA', rsa: 'PS256' }).flatMap(
    ([connection, alg]): ProofCase[] => [
      { name: `${alg}, a bit changed`, wrong: 'one bit of the signature', connection, spell: flip, jws: 'invalid' },
      {
        name: `${alg}, cut`,
        wrong: 'the last octet of the signature is not there',
        connection,
        spell: resign(signature => signature.subarray(0, -1)),
        jws: 'invalid',
      },
      {
        name: `${alg}, longer`,
        wrong: 'the signature has an octet more',
        connection,
        spell: resign(signature => Buffer.concat([signature, Buffer.alloc(1)])),
        jws: 'invalid',
      },
      {
        name: `${alg}, zeros`,
        wrong: 'the signature is zeros',
        connection,
        spell: resign(signature => Buffer.alloc(signature.length)),
        jws: 'invalid',
      },
    ],
  ),
  { name: 'ES256, another key', wrong: 'another key has signed', key: 'other', jws: 'invalid' },
  { name: 'ES256, DER', wrong: 'the signature is DER, not r and s', sign: derSigner, jws: 'invalid' },
  { name: 'PS256, no salt', wrong: 'the salt is empty', connection: 'rsa', sign: pss('sha256', 0), jws: 'invalid' },
  {
    name: 'PS256, short salt',
    wrong: 'the salt has 20 octets',
    connection: 'rsa',
    sign: pss('sha256', 20),
    jws: 'invalid',
  },
]

const algorithms: readonly ProofCase[] = [
  { name: 'none', wrong: 'alg none, no signature', alg: 'none', sign: nothing, jws: 'invalid' },
  { name: 'none, signed', wrong: 'alg none', alg: 'none', sign: proofSigners.ES256 as Signer, jws: 'invalid' },
  {
    name: 'HS256',
    wrong: 'alg HS256, keyed with the public key',
    alg: 'HS256',
    sign: hmacWithPublicKey,
    jws: 'invalid',
  },
  { name: 'ES384 by P-256', wrong: 'alg and hash of another curve', alg: 'ES384', jws: 'invalid' },
  { name: 'ES256 by P-384', wrong: 'alg and hash of another curve', connection: 'p384', alg: 'ES256', jws: 'invalid' },
  { name: 'es256', wrong: 'alg in small letters', header: { alg: 'es256' }, jws: 'invalid' },
  { name: 'Ed25519', wrong: 'alg of RFC 9864; it must be EdDSA', connection: 'ed25519', header: { alg: 'Ed25519' } },
  ...['RS512', 'PS512', 'RS1'].map(
    (alg): ProofCase => ({ name: alg, wrong: `alg ${alg}`, connection: 'rsa', alg, jws: 'varies' }),
  ),
  {
    name: 'RS256 said to be PS256',
    wrong: 'alg PS256, signed as RS256',
    connection: 'rsa',
    sign: proofSigners.RS256 as Signer,
    jws: 'invalid',
  },
  { name: 'P-521', wrong: 'a kind of key that is not taken', connection: 'p521', jws: 'varies' },
  { name: 'secp256k1', wrong: 'a kind of key that is not taken', connection: 'secp256k1', jws: 'varies' },
  { name: 'secp256k1 as ES256', wrong: 'alg of another curve', connection: 'secp256k1', alg: 'ES256', jws: 'varies' },
  { name: 'RSA, 1024 bits', wrong: 'an RSA key of less than 2048 bits', connection: 'rsa1024', jws: 'varies' },
  { name: 'Ed448', wrong: 'a kind of key that is not taken', connection: 'ed448', jws: 'varies' },
]

/** If a signature is within the text, it is a deterministic one: Ed25519. */
const spellings: readonly ProofCase[] = [
  { name: 'padding', wrong: 'padding behind a segment', spell: respell(text => `${text}=`, [2]), jws: 'varies' },
  {
    name: 'stray bits',
    wrong: 'unused bits of the signature are not zero',
    spell: respell(strayBits, [2]),
    jws: 'varies',
  },
  {
    name: 'base64',
    wrong: 'base64, not base64url: + and /',
    payload: { jti: '\u00ff\u00fe\u00fb>>>???' },
    spell: respell(text => text.replaceAll('-', '+').replaceAll('_', '/')),
    jws: 'varies',
  },
  { name: 'a space', wrong: 'a space in the payload', spell: respell(text => ` ${text}`, [1]), jws: 'varies' },
  { name: 'a line end', wrong: 'a line end behind the proof', spell: proof => `${proof}\n`, jws: 'varies' },
  {
    name: 'two segments',
    wrong: 'there is no third segment',
    spell: proof => proof.split('.').slice(0, 2).join('.'),
    jws: 'invalid',
  },
  {
    name: 'four segments',
    wrong: 'there is a fourth segment',
    connection: 'ed25519',
    spell: proof => `${proof}.AA`,
    jws: 'invalid',
  },
  { name: 'no signature', wrong: 'the third segment is empty', spell: respell(() => '', [2]), jws: 'invalid' },
  {
    name: 'twice',
    wrong: 'two proofs, as HTTP joins them',
    connection: 'ed25519',
    spell: proof => `${proof}, ${proof}`,
    jws: 'invalid',
  },
  { name: 'empty', wrong: 'an empty header field', spell: () => '', jws: 'invalid' },
  {
    name: 'JSON',
    wrong: 'the flattened JSON serialization, in base64url',
    connection: 'ed25519',
    spell: proof => {
      const [protectedHeader, payload, signature] = proof.split('.')
      return encode({ protected: protectedHeader, payload, signature })
    },
    jws: 'invalid',
  },
]

export const badProofs: readonly ProofCase[] = [...stolen, ...signatures, ...algorithms, ...spellings]
