// Keys that sign and verify access tokens, as JSON Web Keys (RFC 7517), each with exactly one algorithm (RFC 8725 §3.1): one of JOSE
// for JWTs, or v4.public for PASETO (paseto-key.ts).
// Uses @fastify/jwt with one namespace for each key, so that each key is parsed only once. Only ES256, the default, goes around
// it (es256.ts), which saves a fifth of the time of a signature and of a verification: with Node 24.21 it is 38 µs instead of 46, and 84 µs
// instead of 107 (medians, in turn, with 400 octets of claims).
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  hash,
  type JsonWebKeyInput,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import jwt, { type FastifyJWTOptions, type JWT } from '@fastify/jwt'
import Fastify from 'fastify'
import { describeFound } from '../core/check-options.ts'
import type { Scheduled } from '../core/key-schedule.ts'
import { isPaseto, type PasetoParts, parsePaseto, pasetoVersion } from '../core/paseto.ts'
import { createEs256 } from './es256.ts'
import { paserkIdOf } from './paserk.ts'
import { createPasetoKey } from './paseto-key.ts'

/** The algorithms of keys that sign JWTs. */
export const algorithms = ['ES256', 'EdDSA', 'RS256'] as const

export type Algorithm = (typeof algorithms)[number]

/** The algorithms of all keys. A key is for JWTs or for PASETO, never for both. */
export const keyAlgorithms = [...algorithms, pasetoVersion] as const

export type KeyAlgorithm = (typeof keyAlgorithms)[number]

// @types/node 24 exports JsonWebKey from node:crypto, and later versions do not.
type JsonWebKey = JsonWebKeyInput['key']

export interface TokenJwk extends JsonWebKey, Scheduled {
  readonly kid: string
  readonly alg: KeyAlgorithm
  readonly use: 'sig'
}

export interface VerificationKey {
  readonly kid: string
  readonly algorithm: KeyAlgorithm
  /** Returns the claims of a JWT, or undefined if its signature is invalid. A key for PASETO verifies none. Never throws. */
  verify(token: string): Record<string, unknown> | undefined
  /**
   * Returns the claims of a PASETO of this issuer, or undefined if its signature is invalid. A key for JWTs verifies none.
   * @throws OAuthError `bad_signature`, detail `not_paseto`, if the signed payload is not claims.
   */
  verifyPaseto(parts: PasetoParts, issuer: string): Record<string, unknown> | undefined
}

export interface SigningKey extends VerificationKey, Scheduled {
  readonly kid: string
  readonly publicJwk: TokenJwk
  /** Signs a token. `type`: the `typ` of the header of a JWT, default `at+jwt`. A PASETO needs the claims iss, iat and exp. */
  sign(claims: object, type?: string): string
}

/** Returns whether a key is for PASETO. Others are for JWTs. */
export function isPasetoKey({ alg }: Pick<TokenJwk, 'alg'>): boolean {
  return alg === pasetoVersion
}

/**
 * Generates a private key. Its `kid` is its thumbprint (RFC 7638), or its PASERK id for v4.public. @throws TypeError (rejects) for an
 * unknown algorithm.
 */
export async function generateTokenKey(algorithm: KeyAlgorithm): Promise<TokenJwk> {
  if (!keyAlgorithms.includes(algorithm))
    throw new TypeError(`algorithm must be one of ${keyAlgorithms.join(', ')}, not ${describeFound(algorithm)}`)
  const generate = promisify(generateKeyPair) as (type: string, options: object) => Promise<{ privateKey: KeyLike }>
  const { privateKey } = await (algorithm === 'ES256'
    ? generate('ec', { namedCurve: 'P-256' })
    : algorithm === 'RS256'
      ? generate('rsa', { modulusLength: 3072 })
      : generate('ed25519', {}))
  const jwk = privateKey.export({ format: 'jwk' })
  const kid = algorithm === pasetoVersion ? await paserkIdOf(String(jwk.x)) : thumbprint(jwk)
  return { ...jwk, kid, alg: algorithm, use: 'sig' }
}
type KeyLike = { export(options: { format: 'jwk' }): JsonWebKey }

/** Imports private keys. @throws Error naming the first invalid key. */
export async function importSigningKeys(jwks: readonly TokenJwk[]): Promise<SigningKey[]> {
  const found = await createJwts(jwks, importPrivateKey)
  return jwks.map((jwk, index) => buildSigningKey(jwk, found[index] as Jws))
}

/** Imports one private key. */
export async function importSigningKey(jwk: TokenJwk): Promise<SigningKey> {
  const [key] = await importSigningKeys([jwk])
  return key as SigningKey
}

/** Imports public keys. @throws Error naming the first invalid key. */
export async function importVerificationKeys(jwks: readonly TokenJwk[]): Promise<VerificationKey[]> {
  const found = await createJwts(jwks, () => undefined)
  return jwks.map((jwk, index) => buildVerificationKey(jwk, found[index] as Jws))
}

/** Imports one public key. */
export async function importVerificationKey(jwk: TokenJwk): Promise<VerificationKey> {
  const [key] = await importVerificationKeys([jwk])
  return key as VerificationKey
}

interface Jws {
  sign(claims: object, type?: string): string
  /** Returns the claims. Throws, or returns undefined, for a token that this key did not sign. */
  verify(token: string): Record<string, unknown> | undefined
  /** Default: verifies no PASETO. */
  readonly verifyPaseto?: VerificationKey['verifyPaseto']
}

/** In this order, by whose octets the scanner rules recognise a token. */
const headerOf = ({ alg, kid }: TokenJwk, typ = 'at+jwt') => ({ alg, typ, kid })

/**
 * Creates the signers of all keys, those of @fastify/jwt on one Fastify instance. An instance for each key would dominate the
 * start time.
 */
async function createJwts(
  jwks: readonly TokenJwk[],
  privateKeyOf: (jwk: TokenJwk) => KeyObject | undefined,
): Promise<Jws[]> {
  const app = Fastify()
  const own = new Map<string, Jws>()
  for (const [index, jwk] of jwks.entries()) {
    const [namespace, publicKey, privateKey] = [`key${index}`, importPublicKey(jwk), privateKeyOf(jwk)]
    if (isPasetoKey(jwk)) own.set(namespace, await createPasetoKey(jwk.kid, publicKey, privateKey))
    else if (jwk.alg === 'ES256')
      own.set(
        namespace,
        createEs256(type => headerOf(jwk, type), publicKey, privateKey),
      )
    else app.register(jwt, { namespace, ...buildOptions(jwk, publicKey, privateKey) })
  }
  await app.ready()
  const { jwt: registered } = app as unknown as { readonly jwt: Readonly<Record<string, JWT>> }
  return jwks.map((jwk, index) => own.get(`key${index}`) ?? useFastifyJwt(jwk, registered[`key${index}`] as JWT))
}

function useFastifyJwt(jwk: TokenJwk, signer: JWT): Jws {
  return {
    sign: (claims, type) =>
      type === undefined
        ? signer.sign(claims)
        : signer.sign(claims, { algorithm: jwk.alg as Algorithm, header: headerOf(jwk, type) }),
    verify: token => signer.verify<Record<string, unknown>>(token),
  }
}

function buildOptions(jwk: TokenJwk, publicKey: KeyObject, privateKey: KeyObject | undefined): FastifyJWTOptions {
  return {
    secret: {
      public: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      ...(privateKey && { private: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }),
    },
    ...(privateKey && { sign: { algorithm: jwk.alg as Algorithm, header: headerOf(jwk) } }),
    // access-token.ts verifies the times, and connection.ts caches tokens per connection; @fastify/jwt must do neither.
    verify: { algorithms: [jwk.alg as Algorithm], ignoreExpiration: true, ignoreNotBefore: true, cache: false },
  }
}

function buildSigningKey(jwk: TokenJwk, jws: Jws): SigningKey {
  const { nbf, exp } = jwk
  const sign: SigningKey['sign'] = (claims, type) => jws.sign(claims, type)
  const key: SigningKey = { ...buildVerificationKey(jwk, jws), nbf, exp, publicJwk: toPublic(jwk), sign }
  if (!canSign(key)) throw new Error(`key ${jwk.kid}: the private key does not belong to the public key`)
  return key
}

function canSign(key: SigningKey): boolean {
  try {
    const token = key.sign({ iss: '', iat: 0, exp: 0 })
    const claims = isPaseto(token) ? key.verifyPaseto(parsePaseto(token), '') : key.verify(token)
    return claims !== undefined
  } catch {
    return false // the cause could quote the key
  }
}

function buildVerificationKey({ kid, alg }: TokenJwk, jws: Jws): VerificationKey {
  return {
    kid,
    algorithm: alg,
    verify: token => {
      try {
        return jws.verify(token)
      } catch {
        return undefined // every error means that this server did not issue the token
      }
    },
    verifyPaseto: jws.verifyPaseto ?? (() => undefined),
  }
}

/** `kty` and `crv` of the keys of each algorithm. */
const keyTypes: Readonly<Record<KeyAlgorithm, readonly [string, string | undefined]>> = {
  ES256: ['EC', 'P-256'],
  EdDSA: ['OKP', 'Ed25519'],
  RS256: ['RSA', undefined],
  [pasetoVersion]: ['OKP', 'Ed25519'],
}

/** Parses a JSON Web Key for tokens. @throws Error that describes what is invalid. */
export function parseTokenJwk(value: unknown): TokenJwk {
  const jwk = value as Partial<TokenJwk> | null
  if (typeof jwk?.kid !== 'string' || !/^[\w.~-]{1,128}$/.test(jwk.kid))
    throw new Error('each key must have a kid of 1 to 128 letters, digits and -._~')
  const name = `key ${jwk.kid}`
  const expected = Object.hasOwn(keyTypes, String(jwk.alg)) ? keyTypes[jwk.alg as KeyAlgorithm] : undefined
  if (expected === undefined) throw new Error(`${name}: alg must be one of ${keyAlgorithms.join(', ')}`)
  if (jwk.kty !== expected[0] || jwk.crv !== expected[1])
    throw new Error(`${name}: kty or crv does not match alg ${jwk.alg}`)
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new Error(`${name}: use must be sig`)
  const operations: unknown = jwk.key_ops ?? ['sign']
  if (!Array.isArray(operations) || !['sign', 'verify'].some(operation => operations.includes(operation)))
    throw new Error(`${name}: key_ops must be a list with sign or verify`)
  if (![jwk.nbf ?? 0, jwk.exp ?? 0].every(isSecond))
    throw new Error(`${name}: nbf and exp must be integers, in seconds since 1970`)
  return { ...jwk, use: 'sig' } as TokenJwk
}

/** Whether a time is one that a date can show: messages have it. */
function isSecond(time: unknown): boolean {
  return Number.isSafeInteger(time) && !Number.isNaN(new Date(Number(time) * 1000).getTime())
}

/** Returns the public members of a key, from an explicit list so that no private member is included. */
function toPublic({ kid, alg, use, kty, crv, x, y, n, e }: TokenJwk): TokenJwk {
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use }))
}

function importPrivateKey(jwk: TokenJwk): KeyObject {
  return importKey(jwk, () => createPrivateKey({ key: jwk, format: 'jwk' }))
}

function importPublicKey(jwk: TokenJwk): KeyObject {
  return importKey(jwk, () => {
    const key = createPublicKey({ key: toPublic(jwk), format: 'jwk' })
    const { modulusLength = 2048, publicExponent = 65_537n } = key.asymmetricKeyDetails ?? {}
    if (modulusLength < 2048 || publicExponent < 65_537n || publicExponent % 2n === 0n) throw new RangeError('weak')
    return key
  })
}

function importKey(jwk: TokenJwk, read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch {
    throw new Error(`key ${jwk.kid}: not a usable key`) // the cause could quote the key
  }
}

/** RFC 7638 §3: the required members in lexicographic order. */
export function thumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url')
}
