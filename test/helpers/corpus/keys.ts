// The keys of the corpus, each created at its first use, and how each of them signs.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  getDiffieHellman,
  type KeyObject,
  sign,
} from 'node:crypto'
import { bits, context, integer, nothing, oid, sequence } from './der.ts'

export interface Key {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const ec =
  (namedCurve: string, paramEncoding: 'named' | 'explicit' = 'named') =>
  () =>
    generateKeyPairSync('ec', { namedCurve, paramEncoding })
const rsa =
  (modulusLength: number, publicExponent = 65_537) =>
  () =>
    generateKeyPairSync('rsa', { modulusLength, publicExponent })

// The types of Node require parameters that RFC 4055 does not.
const generate = generateKeyPairSync as (type: string, options: object) => Key
const pss = (parameters: object) => () => generate('rsa-pss', { modulusLength: 2048, ...parameters })

const makers = {
  'P-256': ec('P-256'),
  'P-384': ec('P-384'),
  'P-521': ec('P-521'),
  'P-224': ec('P-224'),
  'P-192': ec('prime192v1'),
  secp256k1: ec('secp256k1'),
  brainpoolP256r1: ec('brainpoolP256r1'),
  brainpoolP384r1: ec('brainpoolP384r1'),
  brainpoolP512r1: ec('brainpoolP512r1'),
  brainpoolP256t1: ec('brainpoolP256t1'),
  sect233r1: ec('sect233r1'),
  SM2: ec('SM2'),
  'P-256 with explicit parameters': ec('P-256', 'explicit'),
  'brainpoolP256r1 with explicit parameters': ec('brainpoolP256r1', 'explicit'),
  Ed25519: () => generateKeyPairSync('ed25519'),
  Ed448: () => generateKeyPairSync('ed448'),
  X25519: () => generateKeyPairSync('x25519'),
  'RSA 512': rsa(512),
  'RSA 1024': rsa(1024),
  'RSA 2047': rsa(2047),
  'RSA 2048': rsa(2048),
  'RSA 4096': rsa(4096),
  'RSA 8192': () => buildRsaPair('modp14', 'modp17'),
  'RSA with e=3': rsa(2048, 3),
  'RSA-PSS': pss({}),
  'RSA-PSS with parameters': pss({ hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256', saltLength: 32 }),
  'RSA-PSS of SHA-512': pss({ hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512', saltLength: 64 }),
  DSA: () => generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }),
  'ML-DSA-44': () => generateKeyPairSync('ml-dsa-44'),
  'ML-DSA-65': () => generateKeyPairSync('ml-dsa-65'),
  'ML-DSA-87': () => generateKeyPairSync('ml-dsa-87'),
  'SLH-DSA': () => generateKeyPairSync('slh-dsa-sha2-128f'),
  root: ec('P-256'),
  sub: ec('P-256'),
  other: ec('P-256'),
  third: ec('P-256'),
  server: ec('P-256'),
} satisfies Readonly<Record<string, () => Key>>

export type KeyName = keyof typeof makers

const made = new Map<KeyName, Key>()

export function keyOf(name: KeyName): Key {
  const key = made.get(name) ?? makers[name]()
  made.set(name, key)
  return key
}

export const publicKeyInfo = (key: Key | KeyName): Buffer =>
  (typeof key === 'string' ? keyOf(key) : key).publicKey.export({ type: 'spki', format: 'der' })

/** The key identifier of certificates here: SHA-1 over the whole info, which no verifier compares with the key. */
export const keyIdentifier = (info: Buffer): Buffer => createHash('sha1').update(info).digest()

/** RSA of a size that would take seconds to generate: its primes are known ones (RFC 3526), of unequal length. */
function buildRsaPair(one: string, other: string): Key {
  const [p, q] = [one, other].map(group => BigInt(`0x${getDiffieHellman(group).getPrime('hex')}`)) as [bigint, bigint]
  const e = 65_537n
  const d = invert(e, (p - 1n) * (q - 1n))
  const parts = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: invert(q, p) }
  const members = Object.entries(parts).map(([name, value]) => [name, encodeNumber(value)])
  const privateKey = createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(members) }, format: 'jwk' })
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

export function encodeNumber(value: bigint): string {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}

function invert(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [modulus, value % modulus, 0n, 1n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b, x, y] = [b, a - quotient * b, y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}

/** A signature algorithm of certificates: its AlgorithmIdentifier and its signing function. */
export interface Algorithm {
  readonly identifier: Buffer
  sign(content: Buffer, key: KeyObject): Buffer
}

const ecdsa = (id: string, digest: string): Algorithm => ({
  identifier: sequence(oid(id)),
  sign: (content, key) => sign(digest, content, key),
})
const pkcs1 = (id: string, digest: string): Algorithm => ({
  identifier: sequence(oid(id), nothing),
  sign: (content, key) => sign(digest, content, key),
})
const plain = (id: string): Algorithm => ({
  identifier: sequence(oid(id)),
  sign: (content, key) => sign(null, content, key),
})
const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), nothing)

export const algorithms = {
  'ecdsa-with-SHA1': ecdsa('1.2.840.10045.4.1', 'sha1'),
  'ecdsa-with-SHA224': ecdsa('1.2.840.10045.4.3.1', 'sha224'),
  'ecdsa-with-SHA256': ecdsa('1.2.840.10045.4.3.2', 'sha256'),
  'ecdsa-with-SHA384': ecdsa('1.2.840.10045.4.3.3', 'sha384'),
  'ecdsa-with-SHA512': ecdsa('1.2.840.10045.4.3.4', 'sha512'),
  md5WithRSA: pkcs1('1.2.840.113549.1.1.4', 'md5'),
  sha1WithRSA: pkcs1('1.2.840.113549.1.1.5', 'sha1'),
  sha256WithRSA: pkcs1('1.2.840.113549.1.1.11', 'sha256'),
  'RSASSA-PSS': {
    identifier: sequence(
      oid('1.2.840.113549.1.1.10'),
      sequence(
        context(0, sha256),
        context(1, sequence(oid('1.2.840.113549.1.1.8'), sha256)), // MGF1
        context(2, integer(32)), // octets of salt
      ),
    ),
    sign: (content, key) =>
      sign('sha256', content, {
        key,
        ...(key.asymmetricKeyType === 'rsa' && { padding: 6 }), // RSA_PKCS1_PSS_PADDING
        saltLength: 32,
      }),
  },
  'dsa-with-SHA256': ecdsa('2.16.840.1.101.3.4.3.2', 'sha256'),
  Ed25519: plain('1.3.101.112'),
  Ed448: plain('1.3.101.113'),
  'ML-DSA-44': plain('2.16.840.1.101.3.4.3.17'),
  'ML-DSA-65': plain('2.16.840.1.101.3.4.3.18'),
  'ML-DSA-87': plain('2.16.840.1.101.3.4.3.19'),
  'SLH-DSA': plain('2.16.840.1.101.3.4.3.21'),
} satisfies Readonly<Record<string, Algorithm>>

/** The default algorithm with which a key signs certificates. */
export function algorithmOf({ privateKey }: Key): Algorithm {
  switch (privateKey.asymmetricKeyType) {
    case 'ec':
      return algorithms['ecdsa-with-SHA256']
    case 'rsa':
      return algorithms.sha256WithRSA
    case 'rsa-pss':
      return algorithms['RSASSA-PSS']
    case 'dsa':
      return algorithms['dsa-with-SHA256']
    case 'ed25519':
      return algorithms.Ed25519
    case 'ed448':
      return algorithms.Ed448
    case 'ml-dsa-44':
      return algorithms['ML-DSA-44']
    case 'ml-dsa-65':
      return algorithms['ML-DSA-65']
    case 'ml-dsa-87':
      return algorithms['ML-DSA-87']
    default:
      return algorithms['SLH-DSA']
  }
}

/** The signature of certificates and lists as a BIT STRING. */
export const signatureBits = (algorithm: Algorithm, content: Buffer, { privateKey }: Key): Buffer =>
  bits(algorithm.sign(content, privateKey))
