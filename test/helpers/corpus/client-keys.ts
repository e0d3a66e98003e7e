// Client certificates by their keys: kinds, sizes, curves, and invalid public keys (RFC 3279, 5480, 8410, 9881).
import { bits, element, integer, nothing, octets, oid, sequence } from './der.ts'
import type { ClientEntry, ClientVerdict } from './entry.ts'
import { algorithms, type KeyName, keyOf, publicKeyInfo } from './keys.ts'
import { leaf, present, root } from './world.ts'

const untrusted = 'certificate_untrusted'
const fails = 'handshake fails'

const kinds: readonly (readonly [KeyName, ClientVerdict])[] = [
  ['P-256', 'accepted'],
  ['P-384', 'accepted'],
  ['P-521', 'accepted'],
  ['P-224', fails],
  ['P-192', fails],
  ['secp256k1', fails],
  ['sect233r1', fails],
  ['SM2', fails],
  ['brainpoolP256r1', 'accepted'],
  ['brainpoolP384r1', 'accepted'],
  ['brainpoolP512r1', 'accepted'],
  ['brainpoolP256t1', fails],
  ['P-256 with explicit parameters', untrusted],
  ['brainpoolP256r1 with explicit parameters', untrusted],
  ['Ed25519', 'accepted'],
  ['Ed448', 'accepted'],
  ['X25519', fails],
  ['RSA 512', fails],
  ['RSA 1024', untrusted],
  ['RSA 2047', 'accepted'],
  ['RSA 2048', 'accepted'],
  ['RSA 4096', 'accepted'],
  ['RSA 8192', 'accepted'],
  ['RSA with e=3', 'accepted'],
  ['RSA-PSS', 'accepted'],
  ['RSA-PSS with parameters', 'accepted'],
  ['RSA-PSS of SHA-512', 'accepted'],
  ['DSA', fails],
  ['ML-DSA-44', 'accepted'],
  ['ML-DSA-65', 'accepted'],
  ['ML-DSA-87', 'accepted'],
  ['SLH-DSA', fails],
]

const ecAlgorithm = (curve: string) => sequence(oid('1.2.840.10045.2.1'), oid(curve))
const P256 = '1.2.840.10045.3.1.7'
const rsaAlgorithm = sequence(oid('1.2.840.113549.1.1.1'), nothing)
const rsaKey = (n: Buffer | bigint, e: bigint) => sequence(rsaAlgorithm, bits(sequence(integer(n), integer(e))))
const point = publicKeyInfo('P-256').subarray(-65)
const compressed = Buffer.concat([Buffer.from([2 + ((point[64] as number) & 1)]), point.subarray(1, 33)])
const hybrid = Buffer.concat([Buffer.from([6 + ((point[64] as number) & 1)]), point.subarray(1)])
const modulus = BigInt(
  `0x${Buffer.from(keyOf('RSA 2048').publicKey.export({ format: 'jwk' }).n as string, 'base64url').toString('hex')}`,
)

/** The public key in the certificate; the client signs with a key on P-256 or with an RSA key. */
const infos: Readonly<Record<string, readonly [info: Buffer, verdict?: ClientVerdict, key?: KeyName]>> = {
  'public key: a point off the curve': [
    sequence(ecAlgorithm(P256), bits(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]))),
  ],
  'public key: the point at infinity': [sequence(ecAlgorithm(P256), bits(Buffer.from([0])))],
  'public key: a compressed point': [sequence(ecAlgorithm(P256), bits(compressed)), 'accepted'],
  'public key: a hybrid point': [sequence(ecAlgorithm(P256), bits(hybrid)), 'accepted'],
  'public key: a point cut short': [sequence(ecAlgorithm(P256), bits(point.subarray(0, 40)))],
  'public key: a point with octets behind it': [
    sequence(ecAlgorithm(P256), bits(Buffer.concat([point, Buffer.from([1])]))),
  ],
  'public key: no point': [sequence(ecAlgorithm(P256), bits(Buffer.alloc(0)))],
  'public key: a curve that nobody knows': [sequence(ecAlgorithm('1.2.3.4'), bits(point))],
  'public key: no curve': [sequence(sequence(oid('1.2.840.10045.2.1')), bits(point))],
  'public key: NULL as curve': [sequence(sequence(oid('1.2.840.10045.2.1'), nothing), bits(point))],
  'public key: algorithm that nobody knows': [sequence(sequence(oid('1.2.3.4')), bits(point))],
  'public key: a signature algorithm': [sequence(algorithms['ecdsa-with-SHA256'].identifier, bits(point))],
  'public key: an OCTET STRING': [sequence(ecAlgorithm(P256), octets(point))],
  'public key: empty': [sequence()],
  'public key: Ed25519 of 31 octets': [sequence(sequence(oid('1.3.101.112')), bits(Buffer.alloc(31, 1)))],
  'public key: Ed25519 with parameters': [sequence(sequence(oid('1.3.101.112'), nothing), bits(Buffer.alloc(32, 1)))],
  'public key: RSA with e=1': [rsaKey(modulus, 1n), fails, 'RSA 2048'],
  'public key: RSA with e=0': [rsaKey(modulus, 0n), fails, 'RSA 2048'],
  'public key: RSA with an even e': [rsaKey(modulus, 65_536n), fails, 'RSA 2048'],
  'public key: RSA with an e as long as the modulus': [rsaKey(modulus, modulus - 2n), fails, 'RSA 2048'],
  'public key: RSA with n=0': [rsaKey(0n, 65_537n), fails, 'RSA 2048'],
  'public key: RSA with an even n': [rsaKey(modulus - 1n, 65_537n), fails, 'RSA 2048'],
  'public key: RSA with a negative n': [rsaKey(Buffer.alloc(256, 0xff), 65_537n), fails, 'RSA 2048'],
  'public key: RSA with 16 384 bits': [rsaKey((1n << 16_383n) + 1n, 65_537n), fails, 'RSA 2048'],
  'public key: RSA with 160 000 bits': [rsaKey((1n << 159_999n) + 1n, 65_537n), fails, 'RSA 2048'],
  'public key: RSA, not DER': [sequence(rsaAlgorithm, bits(Buffer.from('no key'))), fails, 'RSA 2048'],
  'public key: ML-DSA of one octet': [sequence(sequence(oid('2.16.840.1.101.3.4.3.18')), bits(Buffer.from([1])))],
  'public key: a curve in explicit parameters that is none': [
    sequence(
      sequence(
        oid('1.2.840.10045.2.1'),
        sequence(
          integer(1),
          sequence(oid('1.2.840.10045.1.1'), integer(15)),
          sequence(octets(Buffer.from([0])), octets(Buffer.from([0]))),
          octets(Buffer.from([4, 0, 0])),
          integer(1),
        ),
      ),
      bits(Buffer.from([4, 0, 0])),
    ),
  ],
}

/** Valid certificates with an invalid CertificateVerify message. */
const proofs: Readonly<Record<string, { readonly scheme?: number; readonly sign?: (content: Buffer) => Buffer }>> = {
  'proof: empty': { sign: () => Buffer.alloc(0) },
  'proof: zeros': { sign: () => Buffer.alloc(70) },
  'proof: 60 000 octets': { sign: () => Buffer.alloc(60_000, 1) },
  'proof: under SHA-1 by name': { scheme: 0x0203 },
  'proof: of RSA by name': { scheme: 0x0804 },
  'proof: of an algorithm that nobody knows': { scheme: 0xfefe },
  'proof: r and s of zero': { sign: () => element(0x30, [integer(0), integer(0)]) },
  'proof: over other octets': {
    sign: () => algorithms['ecdsa-with-SHA256'].sign(Buffer.from('x'), keyOf('P-256').privateKey),
  },
}

export function clientKeys(): ClientEntry[] {
  return [
    ...kinds.map(([key, verdict]) => present(`key: ${key}`, { chain: [leaf({ key })], key }, verdict)),
    ...Object.entries(infos).map(([name, [publicKeyInfo, verdict = fails, key = 'P-256']]) =>
      present(name, { chain: [leaf({ publicKeyInfo, key })], key }, verdict),
    ),
    ...Object.entries(proofs).map(([name, proof]) => present(name, { chain: [leaf()], ...proof }, fails)),
    present('key: the one of the root', { chain: [leaf({ key: 'root', by: root })], key: 'root' }, 'accepted'),
  ]
}
