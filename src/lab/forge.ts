// Splits tokens and assembles changed ones, as anyone with a JWT can. RFC 7515 §7.1.
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readChannelBindings } from '../core/channel-binding.ts'
import { parseObject } from '../core/compact-jws.ts'
import { type Confirmation, confirm } from '../core/confirmation.ts'
import { readCertificate } from '../core/presenter.ts'
import { type ProofAlgorithm, proofAlgorithmsOf, signProof } from '../core/proof-algorithm.ts'
import { NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Played, Stage } from './stage.ts'

export type Json = Readonly<Record<string, unknown>>

export interface TokenParts {
  readonly header: Json
  readonly claims: Json
  /** The encoded header and claims with the dot between them. */
  readonly input: string
  readonly signature: string
}

/** Splits a token. @throws NotTried for an opaque token. */
export function readToken(token: string): TokenParts {
  const [header = '', claims = '', signature, ...more] = token.split('.')
  try {
    if (signature === undefined || more.length > 0) throw new SyntaxError('not three segments')
    return { header: decode(header), claims: decode(claims), input: `${header}.${claims}`, signature }
  } catch {
    throw new NotTried('the tokens of the server are not JWTs, so their claims cannot be changed')
  }
}

/** Encodes octets, a text, or any other value as JSON in base64url. */
export function encode(value: unknown): string {
  const octets = Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return octets.toString('base64url')
}

/** Joins the parts of a token. `signature` is base64url already. */
export function joinToken(header: unknown, claims: unknown, signature = ''): string {
  return `${encode(header)}.${encode(claims)}.${signature}`
}

/** Generates a key of the thief, of the type that `algorithm` requires. */
export function makeKey(algorithm: unknown): { readonly key: KeyObject; readonly jwk: JsonWebKey } {
  const { privateKey, publicKey } = generate(algorithm)
  return { key: privateKey, jwk: publicKey.export({ format: 'jwk' }) }
}

/** Signs a token with a private key, by default with the key's usual algorithm. */
export function signToken(header: Json, claims: unknown, key: KeyObject): string {
  const algorithms = proofAlgorithmsOf(key)
  const alg = algorithms.find(name => name === header.alg) ?? (algorithms[0] as ProofAlgorithm)
  const input = `${encode({ ...header, alg })}.${encode(claims)}`
  return `${input}.${encode(signProof(alg, Buffer.from(input), key))}`
}

export function keyOf(who: Identity): KeyObject {
  return createPrivateKey(who.key)
}

/** Builds the `cnf` that fits a connection at the level of the stage, which anyone can compute. */
export function confirmationOf({ socket, who }: Played, { level }: Stage): Confirmation {
  if (who === null) throw new TypeError('a cnf requires a certificate')
  const certificate = readCertificate(new X509Certificate(who.certificate))
  return confirm({ certificate, bindings: readChannelBindings(socket, 'client') }, level)
}

function decode(segment: string): Json {
  const value = parseObject(Buffer.from(segment, 'base64url').toString())
  if (value === undefined) throw new SyntaxError('not an object')
  return value
}

function generate(algorithm: unknown): { privateKey: KeyObject; publicKey: KeyObject } {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519')
  if (algorithm === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  if (/^[PR]S/.test(String(algorithm))) return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}
