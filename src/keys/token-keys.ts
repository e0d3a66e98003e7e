// Keys that sign and verify access tokens, as JSON Web Keys (RFC 7517), each with exactly one algorithm (RFC 8725 §3.1).
// Uses @fastify/jwt with one namespace for each key, so that each key is parsed only once.
import { createPrivateKey, createPublicKey, generateKeyPair, hash, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'
import jwt, { type FastifyJWTOptions, type JWT } from '@fastify/jwt'
import Fastify from 'fastify'
import { hasLowS, withLowS } from '../core/compact-jws.ts'
import type { Scheduled } from '../core/key-schedule.ts'

export const algorithms = ['ES256', 'EdDSA', 'RS256'] as const

export type Algorithm = (typeof algorithms)[number]

export interface TokenJwk extends JsonWebKey, Scheduled {
  readonly kid: string
  readonly alg: Algorithm
  readonly use: 'sig'
}

export interface VerificationKey {
  readonly kid: string
  readonly algorithm: Algorithm
  /** Returns the claims of a token, or undefined if its signature is invalid. Never throws. */
  verify(token: string): Record<string, unknown> | undefined
}

export interface SigningKey extends VerificationKey, Scheduled {
  readonly kid: string
  readonly publicJwk: TokenJwk
  /** Signs a token. `type`: the `typ` of its header, default `at+jwt`. */
  sign(claims: object, type?: string): string
}

/** Generates a private key. Its `kid` is its thumbprint (RFC 7638). */
export async function generateTokenKey(algorithm: Algorithm): Promise<TokenJwk> {
  const generate = promisify(generateKeyPair) as (type: string, options: object) => Promise<{ privateKey: KeyLike }>
  const { privateKey } = await (algorithm === 'ES256'
    ? generate('ec', { namedCurve: 'P-256' })
    : algorithm === 'EdDSA'
      ? generate('ed25519', {})
      : generate('rsa', { modulusLength: 3072 }))
  const jwk = privateKey.export({ format: 'jwk' })
  return { ...jwk, kid: thumbprint(jwk), alg: algorithm, use: 'sig' }
}
type KeyLike = { export(options: { format: 'jwk' }): JsonWebKey }

/** Imports private keys. @throws Error naming the first invalid key. */
export async function importSigningKeys(jwks: readonly TokenJwk[]): Promise<SigningKey[]> {
  const found = await createJwts(
    jwks.map(jwk => ({
      secret: { private: privatePem(jwk), public: publicPem(jwk) },
      sign: { algorithm: jwk.alg, header: { typ: 'at+jwt', alg: jwk.alg, kid: jwk.kid } },
      verify: verificationOf(jwk),
    })),
  )
  return jwks.map((jwk, index) => buildSigningKey(jwk, found[index] as JWT))
}

/** Imports one private key. */
export async function importSigningKey(jwk: TokenJwk): Promise<SigningKey> {
  const [key] = await importSigningKeys([jwk])
  return key as SigningKey
}

/** Imports public keys. @throws Error naming the first invalid key. */
export async function importVerificationKeys(jwks: readonly TokenJwk[]): Promise<VerificationKey[]> {
  const options = jwks.map(jwk => ({ secret: { public: publicPem(jwk) }, verify: verificationOf(jwk) }))
  const found = await createJwts(options)
  return jwks.map((jwk, index) => buildVerificationKey(jwk, found[index] as JWT))
}

/** Imports one public key. */
export async function importVerificationKey(jwk: TokenJwk): Promise<VerificationKey> {
  const [key] = await importVerificationKeys([jwk])
  return key as VerificationKey
}

/** Creates the signers of @fastify/jwt on one Fastify instance. An instance for each key would dominate the start time. */
async function createJwts(options: readonly FastifyJWTOptions[]): Promise<JWT[]> {
  const app = Fastify()
  const nameOf = (index: number) => `key${index}`
  for (const [index, one] of options.entries()) app.register(jwt, { ...one, namespace: nameOf(index) })
  await app.ready()
  const { jwt: byName } = app as unknown as { readonly jwt: Readonly<Record<string, JWT>> }
  return options.map((_, index) => byName[nameOf(index)] as JWT)
}

// access-token.ts verifies the times, and connection.ts caches tokens per connection; @fastify/jwt must do neither.
const verificationOf = ({ alg }: TokenJwk) => ({
  algorithms: [alg],
  ignoreExpiration: true,
  ignoreNotBefore: true,
  cache: false,
})

function buildSigningKey(jwk: TokenJwk, signer: JWT): SigningKey {
  const key: SigningKey = {
    ...buildVerificationKey(jwk, signer),
    nbf: jwk.nbf,
    exp: jwk.exp,
    publicJwk: toPublic(jwk),
    sign: (claims, type) => {
      const header = type === undefined ? undefined : { typ: type, alg: jwk.alg, kid: jwk.kid }
      const token = header === undefined ? signer.sign(claims) : signer.sign(claims, { algorithm: jwk.alg, header })
      if (jwk.alg !== 'ES256') return token
      const at = token.lastIndexOf('.') + 1
      return token.slice(0, at) + withLowS(Buffer.from(token.slice(at), 'base64url')).toString('base64url')
    },
  }
  if (key.verify(key.sign({})) === undefined)
    throw new Error(`key ${jwk.kid}: the private key does not belong to the public key`)
  return key
}

function buildVerificationKey({ kid, alg }: TokenJwk, verifier: JWT): VerificationKey {
  return {
    kid,
    algorithm: alg,
    verify: token => {
      if (alg === 'ES256' && !hasLowS(Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')))
        return undefined
      try {
        return verifier.verify<Record<string, unknown>>(token)
      } catch {
        return undefined // every error means that this server did not issue the token
      }
    },
  }
}

/** Parses a JSON Web Key for tokens. @throws Error that describes what is invalid. */
export function parseTokenJwk(value: unknown): TokenJwk {
  const jwk = value as Partial<TokenJwk> | null
  if (typeof jwk?.kid !== 'string' || !/^[\w.~-]{1,128}$/.test(jwk.kid))
    throw new Error('each key must have a kid of 1 to 128 letters, digits and -._~')
  const name = `key ${jwk.kid}`
  const expected = { ES256: ['EC', 'P-256'], EdDSA: ['OKP', 'Ed25519'], RS256: ['RSA', undefined] }[
    jwk.alg as Algorithm
  ]
  if (expected === undefined) throw new Error(`${name}: alg must be one of ${algorithms.join(', ')}`)
  if (jwk.kty !== expected[0] || jwk.crv !== expected[1])
    throw new Error(`${name}: kty or crv does not match alg ${jwk.alg}`)
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new Error(`${name}: use must be sig`)
  const operations: unknown = jwk.key_ops ?? ['sign']
  if (!Array.isArray(operations) || !['sign', 'verify'].some(operation => operations.includes(operation)))
    throw new Error(`${name}: key_ops must be a list with sign or verify`)
  if (![jwk.nbf ?? 0, jwk.exp ?? 0].every(Number.isSafeInteger))
    throw new Error(`${name}: nbf and exp must be integers, in seconds since 1970`)
  return { ...jwk, use: 'sig' } as TokenJwk
}

/** Returns the public members of a key, from an explicit list so that no private member is included. */
function toPublic({ kid, alg, use, kty, crv, x, y, n, e }: TokenJwk): TokenJwk {
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use }))
}

function privatePem(jwk: TokenJwk): string {
  return readKey(jwk, () => createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }))
}

function publicPem(jwk: TokenJwk): string {
  return readKey(jwk, () => {
    const key = createPublicKey({ key: toPublic(jwk), format: 'jwk' })
    const { modulusLength = 2048, publicExponent = 65_537n } = key.asymmetricKeyDetails ?? {}
    if (modulusLength < 2048 || publicExponent < 65_537n || publicExponent % 2n === 0n) throw new RangeError('weak')
    return key.export({ type: 'spki', format: 'pem' })
  })
}

function readKey(jwk: TokenJwk, read: () => string | Buffer): string {
  try {
    return read().toString()
  } catch {
    throw new Error(`key ${jwk.kid}: not a usable key`) // the cause could quote the key
  }
}

/** RFC 7638 §3: the required members in lexicographic order. */
export function thumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url')
}
