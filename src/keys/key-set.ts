// A key set as an identity provider publishes it (RFC 7517 §5) → the keys that can verify its access tokens. Keys of other
// kinds stand beside them in the wild: each that cannot be used is left out with the reason, and the others work.
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/**
 * The asymmetric algorithms of JOSE (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2), with the key that each needs. With a
 * symmetric one a resource server could sign what it verifies (RFC 8725 §3.1).
 */
export const issuerAlgorithms = {
  RS256: 'RSA',
  RS384: 'RSA',
  RS512: 'RSA',
  PS256: 'RSA',
  PS384: 'RSA',
  PS512: 'RSA',
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
  EdDSA: 'Ed25519',
  Ed25519: 'Ed25519',
} as const

export type IssuerAlgorithm = keyof typeof issuerAlgorithms

/** A key that can verify tokens of an issuer. */
export interface IssuerKey {
  /** Up to 256 characters; undefined: the key has no name. */
  readonly kid: string | undefined
  readonly algorithms: readonly IssuerAlgorithm[]
  readonly key: KeyObject
}

export interface KeySet {
  readonly keys: readonly IssuerKey[]
  /** The keys that are not used, and why, one sentence each. */
  readonly leftOut: readonly string[]
}

/** Reads a key set, keeping the keys for these algorithms. @throws TypeError when it is no key set, or has no such key. */
export function parseKeySet(document: unknown, algorithms: readonly IssuerAlgorithm[]): KeySet {
  const { keys } = (document ?? {}) as { readonly keys?: unknown }
  if (!Array.isArray(keys)) throw new TypeError('it has no list of keys')
  const usable: IssuerKey[] = []
  const leftOut: string[] = []
  for (const [index, jwk] of keys.entries()) {
    try {
      usable.push(parseIssuerKey(jwk, algorithms))
    } catch (error) {
      leftOut.push(`key number ${index + 1}: ${(error as Error).message}`)
    }
  }
  if (usable.length === 0) throw new TypeError(['none of its keys can verify access tokens', ...leftOut].join('; '))
  return { keys: usable, leftOut }
}

/** How many keys are tried for one token: a `kid` may name several keys, or none. */
const maximumCandidates = 4

/** Finds the keys that may have signed a token with this header, at most four. */
export function findCandidates({ keys }: KeySet, alg: IssuerAlgorithm, kid: string | undefined): readonly IssuerKey[] {
  return keys
    .filter(key => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid))
    .slice(0, maximumCandidates)
}

/** @throws Error saying why the key is not used; it quotes nothing but names. */
function parseIssuerKey(value: unknown, allowed: readonly IssuerAlgorithm[]): IssuerKey {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no JSON object')
  const { kid, kty, crv, alg, use, key_ops: operations } = value as JsonWebKey & Record<string, unknown>
  if ('d' in value || 'k' in value) throw new Error('it is a private or secret key')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256))
    throw new Error('its kid is no text of up to 256 characters')
  if (use !== undefined && use !== 'sig') throw new Error('its use is not sig')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    throw new Error('its key_ops do not contain verify')
  const kind = kty === 'RSA' ? 'RSA' : crv
  const algorithms = allowed.filter(name => issuerAlgorithms[name] === kind && (alg === undefined || fits(alg, name)))
  if (algorithms.length === 0) throw new Error('it is for no algorithm that is allowed here')
  return { kid, algorithms, key: importPublicKey(value as JsonWebKey) }
}

/** `EdDSA` and `Ed25519` name the same algorithm (RFC 9864 §2.2). */
function fits(alg: unknown, name: IssuerAlgorithm): boolean {
  return alg === name || (issuerAlgorithms[name] === 'Ed25519' && (alg === 'EdDSA' || alg === 'Ed25519'))
}

function importPublicKey({ kty, crv, x, y, n, e }: JsonWebKey): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })), format: 'jwk' })
  } catch {
    throw new Error('OpenSSL does not read it') // the cause could quote the key
  }
  const { modulusLength = 2048, publicExponent = 65_537n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < 2048) throw new Error(`it is an RSA key of ${modulusLength} bits`)
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) throw new Error('its RSA exponent is too small or even')
  return key
}
