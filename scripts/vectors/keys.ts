// The keys and certificates of the test vectors, created once and then stored in test/vectors/keys.json. They are public: a
// server that trusts one of them trusts every client.
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import { issueCertificate } from '../../src/pki/certificate.ts'
import type { KeyPair } from '../../src/pki/signing.ts'
import type { KeySet, TestKey } from '../../test/helpers/vectors.ts'

const about =
  'PUBLIC TEST KEYS. Everybody has the private parts of these keys. Use them for the vectors beside this file and for nothing else; never trust one of them or their certificates.'

const curve = (namedCurve: string) => () => generateKeyPairSync('ec', { namedCurve })
const rsa = (modulusLength: number) => () => generateKeyPairSync('rsa', { modulusLength })

/** The last four are kinds of key that cannot sign a proof. */
const generators: Readonly<Record<string, () => KeyPair>> = {
  p256: curve('P-256'),
  p384: curve('P-384'),
  ed25519: () => generateKeyPairSync('ed25519'),
  rsa: rsa(2048),
  other: curve('P-256'),
  p521: curve('P-521'),
  secp256k1: curve('secp256k1'),
  rsa1024: rsa(1024),
  ed448: () => generateKeyPairSync('ed448'),
}

export const kidOf = (name: string) => `PUBLIC-TEST-KEY-${name}`

/** Returns the keys of the file, and new ones for those that it lacks. */
export function buildKeys(file: KeySet | undefined): KeySet {
  const kept = new Map(file?.keys.map(key => [key.kid, key]))
  const keep = (name: string, make: () => TestKey) => kept.get(kidOf(name)) ?? make()
  const issuer = keep('issuer', () => exportKey('issuer', generateKeyPairSync('ed25519').privateKey))
  const keys = Object.entries(generators).map(([name, generate]) => keep(name, () => certify(name, generate())))
  const renewed = keep('p256-renewed', () => certify('p256-renewed', pairOf(keys[0] as TestKey)))
  return { about, keys: [issuer, ...keys, renewed] }
}

export function privateKeyOf(key: TestKey): KeyObject {
  return createPrivateKey({ key, format: 'jwk' })
}

/** Issues a client certificate of an authority whose key is discarded. Valid from 2026 to 2049. */
function certify(name: string, keyPair: KeyPair): TestKey {
  const authority = issueCertificate({ subject: [['CN', 'PUBLIC TEST AUTHORITY, never trust it']], ca: true })
  const { x509 } = issueCertificate({
    subject: [['CN', `${kidOf(name)}, never trust it`]],
    issuer: authority,
    keyPair,
    extendedKeyUsage: ['clientAuth'],
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2049-12-31T00:00:00Z'),
  })
  const x5c = x509.raw.toString('base64')
  return { ...exportKey(name, keyPair.privateKey), x5c: [x5c], 'x5t#S256': hash('sha256', x509.raw, 'base64url') }
}

function exportKey(name: string, privateKey: KeyObject): TestKey {
  return { kid: kidOf(name), ...privateKey.export({ format: 'jwk' }) }
}

function pairOf(key: TestKey): KeyPair {
  const privateKey = privateKeyOf(key)
  return { privateKey, publicKey: createPublicKey(privateKey) }
}
