// Signatures with the key of a TLS certificate, which determines the algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
// Only for binding proofs; keys/token-keys.ts signs access tokens.
import { constants, type KeyObject, sign, verify } from 'node:crypto'
import { type EcdsaHash, signEcdsa, verifyEcdsa } from './ecdsa.ts'

export type ProofAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256'

/** All algorithms, for metadata. */
export const proofAlgorithms: readonly ProofAlgorithm[] = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256']

/** Returns the algorithms for a key, the preferred one first; none for an unsupported key type. */
export function proofAlgorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): ProofAlgorithm[] {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {}
  switch (asymmetricKeyType) {
    case 'ec':
      return namedCurve === 'prime256v1' ? ['ES256'] : namedCurve === 'secp384r1' ? ['ES384'] : []
    case 'ed25519':
      return ['EdDSA']
    case 'rsa':
      return modulusLength >= 2048 ? ['PS256', 'RS256'] : []
    default:
      return []
  }
}

/** The key types that can sign proofs, for messages. */
export const proofKeys = 'P-256, P-384, Ed25519, RSA of 2048 bits or more'

/** Describes the type of a key for messages: `ec secp521r1`, `rsa 1024`, `ed448`. */
export function describeKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {}
  return [asymmetricKeyType ?? 'unknown', namedCurve, modulusLength].filter(part => part !== undefined).join(' ')
}

/** Signs with a private key. */
export function signProof(algorithm: ProofAlgorithm, data: Buffer, key: KeyObject): Buffer {
  const hash = ecdsaHashes[algorithm]
  if (hash !== undefined) return signEcdsa(hash, data, key)
  return algorithm === 'EdDSA' ? sign(undefined, data, key) : sign('sha256', data, { ...paddings[algorithm], key })
}

/** Returns whether a signature is valid. The caller must pass an algorithm of the key. */
export function verifyProofSignature(
  algorithm: ProofAlgorithm,
  data: Buffer,
  key: KeyObject,
  signature: Buffer,
): boolean {
  const hash = ecdsaHashes[algorithm]
  if (hash !== undefined) return verifyEcdsa(hash, data, key, signature)
  return algorithm === 'EdDSA'
    ? verify(undefined, data, key, signature)
    : verify('sha256', data, { ...paddings[algorithm], key }, signature)
}

const ecdsaHashes: Readonly<Partial<Record<ProofAlgorithm, EcdsaHash>>> = { ES256: 'sha256', ES384: 'sha384' }

/** RFC 7518 §3.5: a salt as long as the hash. */
const paddings: Readonly<Record<string, object>> = {
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
}
