// Signatures with the key of a TLS certificate, which determines the algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
// Only for binding proofs; keys/token-keys.ts signs access tokens.
import { constants, type KeyObject, sign, type VerifyKeyObjectInput, verify } from 'node:crypto'

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
  return sign(hashes[algorithm], data, { ...forms[algorithm], key })
}

/** Returns whether a signature is valid. The caller must pass an algorithm of the key. */
export function verifyProofSignature(
  algorithm: ProofAlgorithm,
  data: Buffer,
  key: KeyObject,
  signature: Buffer,
): boolean {
  return verify(hashes[algorithm], data, { ...forms[algorithm], key }, signature)
}

const hashes = { ES256: 'sha256', ES384: 'sha384', EdDSA: undefined, PS256: 'sha256', RS256: 'sha256' } as const

/** RFC 7518 §3.4: r and s side by side. §3.5: a salt as long as the hash. */
const forms: Readonly<Record<ProofAlgorithm, Omit<VerifyKeyObjectInput, 'key'>>> = {
  ES256: { dsaEncoding: 'ieee-p1363' },
  ES384: { dsaEncoding: 'ieee-p1363' },
  EdDSA: {},
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
}
