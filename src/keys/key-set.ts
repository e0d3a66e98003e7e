// Parses the key set of an identity provider (RFC 7517 §5) into the keys that can verify its access tokens. Published key sets also
// contain keys of other types. An unusable key is skipped with a reason, and the others work.
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { pasetoVersion } from '../core/paseto.ts'
import type { Origin } from './remote-document.ts'

/**
 * The asymmetric algorithms of JOSE (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2), with the key type of each, and the one version of
 * PASETO. With a symmetric algorithm, a resource server could forge tokens (RFC 8725 §3.1).
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
  [pasetoVersion]: 'Ed25519',
} as const

export type IssuerAlgorithm = keyof typeof issuerAlgorithms

/** A key that can verify tokens of an issuer. */
export interface IssuerKey {
  /** Up to 256 characters; undefined if the key has no kid. */
  readonly kid: string | undefined
  readonly algorithms: readonly IssuerAlgorithm[]
  readonly key: KeyObject
  /** Where the key set was fetched; undefined if it was configured. */
  readonly origin: Origin | undefined
}

export interface KeySet {
  readonly keys: readonly IssuerKey[]
  /** One sentence for each unused key, with the reason. */
  readonly leftOut: readonly string[]
}

/**
 * Parses a key set, and returns the keys for these algorithms. `origin`: where it was fetched.
 * @throws TypeError if it is not a key set, or has no such key.
 */
export function parseKeySet(document: unknown, algorithms: readonly IssuerAlgorithm[], origin?: Origin): KeySet {
  const { keys } = (document ?? {}) as { readonly keys?: unknown }
  if (!Array.isArray(keys)) throw new TypeError('it has no list of keys')
  const usable: IssuerKey[] = []
  const leftOut: string[] = []
  for (const [index, jwk] of keys.entries()) {
    try {
      usable.push({ ...parseIssuerKey(jwk, algorithms), origin })
    } catch (error) {
      leftOut.push(`key number ${index + 1}${describeKid(jwk)}: ${(error as Error).message}`)
    }
  }
  if (usable.length === 0) throw new TypeError(['none of its keys can verify access tokens', ...leftOut].join('; '))
  return { keys: usable, leftOut }
}

/** The characters of a `kid` that messages quote at most. */
const quotedKid = 64

/** Returns the `kid` of a key that is not valid, quoted for a message; empty if it has none that could be searched for. */
function describeKid(jwk: unknown): string {
  const { kid } = (jwk ?? {}) as { readonly kid?: unknown }
  if (typeof kid !== 'string') return ''
  return ` (kid "${escapeForDisplay(kid.length > quotedKid ? `${kid.slice(0, quotedKid)}…` : kid)}")`
}

/** The maximum number of keys to try for one token, because a `kid` may be absent or ambiguous. */
const maximumCandidates = 4

/** Finds the keys that may have signed a token with this header, at most four. */
export function findCandidates({ keys }: KeySet, alg: IssuerAlgorithm, kid: string | undefined): readonly IssuerKey[] {
  return keys
    .filter(key => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid))
    .slice(0, maximumCandidates)
}

/** @throws Error with the reason why the key is not used; the message quotes only member names. */
function parseIssuerKey(value: unknown, allowed: readonly IssuerAlgorithm[]): Omit<IssuerKey, 'origin'> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is not a JSON object')
  const { kid, kty, crv, alg, use, key_ops: operations } = value as JsonWebKey & Record<string, unknown>
  if ('d' in value || 'k' in value) throw new Error('it is a private or secret key')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256))
    throw new Error('its kid is not a string of up to 256 characters')
  if (use !== undefined && use !== 'sig') throw new Error('its use is not sig')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    throw new Error('its key_ops do not contain verify')
  const kind = kty === 'RSA' ? 'RSA' : crv
  const algorithms = allowed.filter(name => issuerAlgorithms[name] === kind && fits(alg, name))
  if (algorithms.length === 0) throw new Error('it is for none of the allowed algorithms')
  return { kid, algorithms, key: importPublicKey(value as JsonWebKey) }
}

/**
 * `EdDSA` and `Ed25519` name the same algorithm (RFC 9864 §2.2). A key without `alg` is for every algorithm of JOSE, and never for
 * PASETO: a key belongs to one version (PASETO: Algorithm Lucidity).
 */
function fits(alg: unknown, name: IssuerAlgorithm): boolean {
  if (name === pasetoVersion || alg === undefined) return name === pasetoVersion ? alg === name : true
  return alg === name || (issuerAlgorithms[name] === 'Ed25519' && (alg === 'EdDSA' || alg === 'Ed25519'))
}

function importPublicKey({ kty, crv, x, y, n, e }: JsonWebKey): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })), format: 'jwk' })
  } catch {
    throw new Error('OpenSSL cannot read it') // the cause could quote the key
  }
  const { modulusLength = 2048, publicExponent = 65_537n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < 2048) throw new Error(`it is an RSA key of ${modulusLength} bits`)
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) throw new Error('its RSA exponent is too small or even')
  return key
}
