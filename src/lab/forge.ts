// Tokens taken apart and put together again by hand: what anybody can do to a JWT who has one. RFC 7515 §7.1.
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readChannelBindings } from '../core/channel-binding.ts'
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
  /** Header and claims as they stand in the token, with the dot between them. */
  readonly input: string
  readonly signature: string
}

/** @throws NotTried for a token that says nothing to whoever holds it. */
export function readToken(token: string): TokenParts {
  const [header = '', claims = '', signature, ...more] = token.split('.')
  try {
    if (signature === undefined || more.length > 0) throw new SyntaxError('not three segments')
    return { header: decode(header), claims: decode(claims), input: `${header}.${claims}`, signature }
  } catch {
    throw new NotTried('its tokens are no JWTs, so there is nothing to change in them')
  }
}

/** base64url of octets, of a text as it stands, or of anything else as JSON. */
export function encode(value: unknown): string {
  const octets = Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return octets.toString('base64url')
}

/** A token of these parts. `signature` is base64url already. */
export function joinToken(header: unknown, claims: unknown, signature = ''): string {
  return `${encode(header)}.${encode(claims)}.${signature}`
}

/** A key of the thief's own, of the kind that `algorithm` needs. */
export function makeKey(algorithm: unknown): { readonly key: KeyObject; readonly jwk: JsonWebKey } {
  const { privateKey, publicKey } = generate(algorithm)
  return { key: privateKey, jwk: publicKey.export({ format: 'jwk' }) }
}

/** Signs a token with a private key; without `alg` in the header with the key's usual one. */
export function signToken(header: Json, claims: unknown, key: KeyObject): string {
  const algorithms = proofAlgorithmsOf(key)
  const alg = algorithms.find(name => name === header.alg) ?? (algorithms[0] as ProofAlgorithm)
  const input = `${encode({ ...header, alg })}.${encode(claims)}`
  return `${input}.${encode(signProof(alg, Buffer.from(input), key))}`
}

export function keyOf(who: Identity): KeyObject {
  return createPrivateKey(who.key)
}

/** The `cnf` that would fit a connection at the level of the stage: anybody can compute it for their own. */
export function confirmationOf({ socket, who }: Played, { level }: Stage): Confirmation {
  if (who === null) throw new TypeError('without a certificate nothing can be confirmed')
  const certificate = readCertificate(new X509Certificate(who.certificate))
  return confirm({ certificate, bindings: readChannelBindings(socket, 'client') }, level)
}

function decode(segment: string): Json {
  const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString())
  if (typeof value !== 'object' || value === null) throw new SyntaxError('no object')
  return value as Json
}

function generate(algorithm: unknown): { privateKey: KeyObject; publicKey: KeyObject } {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519')
  if (algorithm === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  if (/^[PR]S/.test(String(algorithm))) return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}
