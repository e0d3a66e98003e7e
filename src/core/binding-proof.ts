// Binding proofs: the presenter of a token at level proof signs the hash of the token and exported keying material of the
// connection with its certificate key. draft-mw-oauth-tls-session-bound-tokens §2.3, §3.3; stricter where the draft is silent.
import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { isText, isTime } from './access-token.ts'
import { isCanonical, parseObject } from './compact-jws.ts'
import { describeValue } from './describe-value.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import {
  describeKey,
  type ProofAlgorithm,
  proofAlgorithmsOf,
  proofKeys,
  signProof,
  verifyProofSignature,
} from './proof-algorithm.ts'

/** The claims of a proof. `jti`, `htm` and `htu` limit it to one request; without them it is valid for all requests of its connection. */
export interface ProofClaims {
  /** base64url(SHA-256(access token)). */
  readonly ath: string
  /** base64url of the 32 octets of exported keying material. */
  readonly ekm: string
  /** Seconds since 1970. */
  readonly iat: number
  readonly jti?: string
  readonly htm?: string
  /** The path without query, or an https URL of which only the path is compared. */
  readonly htu?: string
}

/** The request that carries a proof. */
export interface ProvenRequest {
  readonly token: string
  readonly method: string
  /** The target in the request line, or `:path`. */
  readonly target: string
}

/** Seconds that the `iat` of a proof may be in the past or future when the proof is first used on a connection. */
export const proofWindow = { past: 60, future: 5 } as const

/** Characters. Proofs built here have about 450 with ES256 and 850 with RSA-3072. */
const maximumLength = 4096
const type = 'tls-binding-proof+jwt'
const required: readonly string[] = ['ath', 'ekm', 'iat']
const optional: readonly string[] = ['jti', 'htm', 'htu']

/** Returns the hash of a token for `ath`. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

/**
 * Builds and signs a proof with the private key of a certificate, whose `x5t#S256` is `thumbprint`.
 * @throws TypeError for a key type that cannot sign proofs.
 */
export function buildBindingProof(claims: ProofClaims, key: KeyObject, thumbprint: string): string {
  const [alg] = proofAlgorithmsOf(key)
  if (alg === undefined)
    throw new TypeError(`a proof needs a key of one of these kinds: ${proofKeys}; this one is ${describeKey(key)}`)
  const header = { typ: type, alg, 'x5t#S256': thumbprint }
  const input = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${signProof(alg, Buffer.from(input), key).toString('base64url')}`
}

/**
 * Verifies that this presenter signed the proof for this token, on this connection and within `proofWindow` of `now`, in
 * seconds since 1970. The caller must check whether `jti` was used before.
 * @throws OAuthError `proof_invalid`.
 */
export function verifyBindingProof(
  proof: string,
  request: ProvenRequest,
  { certificate, ekm }: Presenter,
  now: number,
): ProofClaims {
  const segments = proof.split('.')
  if (proof.length > maximumLength || segments.length !== 3 || !segments.every(isCanonical))
    return refuse('form', { found: `${segments.length} segments, ${proof.length} characters`, limit: maximumLength })
  const [header, payload, signature] = segments.map(segment => Buffer.from(segment, 'base64url')) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const key = certificate.x509.publicKey
  const algorithm = readAlgorithm(parseObject(header.toString()), certificate.thumbprint, key)
  const claims = readClaims(parseObject(payload.toString()))
  if (ekm === undefined || !isSame(claims.ekm, ekm)) refuse('other_connection')
  const ath = hashToken(request.token)
  if (!isSame(claims.ath, ath)) refuse('other_token', { found: claims.ath, expected: ath })
  if (claims.iat < now - proofWindow.past || claims.iat > now + proofWindow.future)
    refuse('outside_window', { found: claims.iat, now })
  if (claims.htm !== undefined && claims.htm !== request.method)
    refuse('other_request', { claim: 'htm', found: claims.htm, expected: request.method })
  if (claims.htu !== undefined && !isFor(claims.htu, request.target))
    refuse('other_request', { claim: 'htu', found: readPath(claims.htu), expected: pathOf(request.target) })
  // Last, because it is the most expensive check: only a client with the keys of the connection can trigger it.
  if (!verifyProofSignature(algorithm, Buffer.from(`${segments[0]}.${segments[1]}`), key, signature))
    refuse('wrong_signature', { alg: algorithm })
  return claims
}

/** Returns whether a proof is for a single request: `jti`, `htm` and `htu` are all present. */
export function isPerRequest({ jti, htm, htu }: ProofClaims): boolean {
  return jti !== undefined && htm !== undefined && htu !== undefined
}

/** Returns whether a proof is valid for further requests of its connection. */
export function isReusable({ jti, htm, htu }: ProofClaims): boolean {
  return jti === undefined && htm === undefined && htu === undefined
}

/** Requires exactly three members. In particular, rejects `crit` and members that contain a key (RFC 8725 §3.10). */
function readAlgorithm(
  header: Readonly<Record<string, unknown>> | undefined,
  x5t: string,
  key: KeyObject,
): ProofAlgorithm {
  const { typ, alg, 'x5t#S256': thumbprint, ...others } = header ?? {}
  const algorithm = proofAlgorithmsOf(key).find(name => name === alg)
  if (algorithm === undefined) return refuse('header', { header: 'alg', found: describeValue(alg) })
  if (typ !== type) refuse('header', { header: 'typ', found: describeValue(typ) })
  if (thumbprint !== x5t) refuse('header', { header: 'x5t#S256', found: describeValue(thumbprint), expected: x5t })
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) refuse('header', { header: unknown })
  return algorithm
}

/** Rejects unknown claims, because an unknown claim could be a restriction. */
function readClaims(claims: Readonly<Record<string, unknown>> | undefined): ProofClaims {
  if (claims === undefined) return refuse('claim', { found: 'no JSON object' })
  const missing = required.find(name => !Object.hasOwn(claims, name))
  if (missing !== undefined) refuse('claim', { claim: missing, found: 'absent' })
  const wrong = Object.keys(claims).find(name => !isWellFormed(name, claims[name]))
  if (wrong !== undefined) refuse('claim', { claim: wrong, found: describeValue(claims[wrong]) })
  return claims as unknown as ProofClaims
}

function isWellFormed(name: string, value: unknown): boolean {
  if (name === 'iat') return isTime(value)
  if (name === 'htu') return value === undefined || typeof value === 'string' // a path can exceed the limit of isText
  return (required.includes(name) || optional.includes(name)) && isText(value)
}

/** §2.3.2.2 calls `htu` a URI but shows a path. Compares only the path, because the connection determines the host. */
function isFor(htu: string, target: string): boolean {
  return readPath(htu) === readPath(pathOf(target))
}

function pathOf(target: string): string {
  return target.split('?')[0] as string
}

function readPath(address: string): string {
  return address.replace(/^https:\/\/[^/?#]*/i, '')
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)] // compares octets, because a character can have several
  return first.length === second.length && timingSafeEqual(first, second)
}

function refuse(detail: DetailOf<'proof_invalid'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_proof', 'proof_invalid', detail, facts)
}
