// Keys and signatures: key pairs by type, and the frame that a certificate and a CRL share,
// SEQUENCE { content, signatureAlgorithm, signature } (RFC 5280 §4.1.1, §5.1.1).

import type { KeyObject } from 'node:crypto'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { Der } from './der.ts'
import { bitString, context, encode, integer, nothing, oid, sequence } from './der.ts'

export type KeyPair = { readonly privateKey: KeyObject; readonly publicKey: KeyObject }

/** `rsa1024` and `sha1` exist so that tests can verify their rejection. */
export type KeyType = 'ec' | 'ec384' | 'ed25519' | 'rsa' | 'rsa1024'
export type Digest = 'sha256' | 'sha1'

const keyPairs: Record<KeyType, () => KeyPair> = {
  ec: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ec384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed25519: () => generateKeyPairSync('ed25519'),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsa1024: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
}

export const generateKeyPair = (type: KeyType): KeyPair => keyPairs[type]()

/** Hashes the SubjectPublicKeyInfo (RFC 7093 §2, method 4). */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

/**
 * Signs what `build` returns for the algorithm, because the signed content contains the algorithm too.
 * @throws TypeError when the key cannot sign certificates.
 */
export function buildSigned(key: KeyObject, digest: Digest, build: (algorithm: Der) => Der): Buffer {
  const algorithm = signatureAlgorithm(key, digest)
  const content = build(algorithm)
  // These include their digest (RFC 8032 §5, RFC 9881 §3), so node:crypto must not get one.
  const isPure = /^(ed25519|ed448|ml-dsa-65)$/.test(String(key.asymmetricKeyType))
  const signature = sign(isPure ? null : digest, encode(content), key)
  return encode(sequence([content, algorithm, bitString(signature)]))
}

function signatureAlgorithm(key: KeyObject, digest: Digest): Der {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return sequence([oid({ sha256: '1.2.840.10045.4.3.2', sha1: '1.2.840.10045.4.1' }[digest])])
    case 'rsa':
      // NULL is required here and forbidden for the others (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3).
      return sequence([oid({ sha256: '1.2.840.113549.1.1.11', sha1: '1.2.840.113549.1.1.5' }[digest]), nothing()])
    case 'ed25519':
      return sequence([oid('1.3.101.112')])
    case 'ed448':
      return sequence([oid('1.3.101.113')])
    case 'ml-dsa-65':
      return sequence([oid('2.16.840.1.101.3.4.3.18')])
    case 'dsa':
      return sequence([oid({ sha256: '2.16.840.1.101.3.4.3.2', sha1: '1.2.840.10040.4.3' }[digest])])
    case 'rsa-pss':
      return sequence([oid('1.2.840.113549.1.1.10'), pssParameters()])
    default:
      throw new TypeError(`a key of type ${key.asymmetricKeyType} cannot sign certificates`)
  }
}

/** SHA-256 with a salt of 32 octets (RFC 4055 §3.1), which node:crypto uses for a key that prescribes it. */
function pssParameters(): Der {
  const sha256 = sequence([oid('2.16.840.1.101.3.4.2.1'), nothing()])
  const mgf1 = sequence([oid('1.2.840.113549.1.1.8'), sha256])
  return sequence([context(0, [sha256]), context(1, [mgf1]), context(2, [integer(32)])])
}
