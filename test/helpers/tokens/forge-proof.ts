// Binding proofs made by hand with node:crypto: any header, payload, signature and spelling, including valid ones.
// draft-mw-oauth-tls-session-bound-tokens §2.3. Independent of src/core/binding-proof.ts.
import { constants, createHash, type KeyObject, sign as signBytes } from 'node:crypto'
import { encode, signers } from './forge-token.ts'

export const proofType = 'tls-binding-proof+jwt'
export const proofLabel = 'EXPORTER-oauth-tls-session-bound'

export type Signer = (input: Buffer, key: KeyObject) => Buffer

/** Signatures by their name in JOSE (RFC 7518 §3.1), including those that a server must reject. */
export const proofSigners: Readonly<Record<string, Signer>> = {
  ...signers,
  ES256K: (input, key) => signBytes('sha256', input, { key, dsaEncoding: 'ieee-p1363' }),
  PS384: pss('sha384', 48),
  PS512: pss('sha512', 64),
}

/** RSASSA-PSS with a salt of any length, in octets; PS256 has 32. */
export function pss(digest: string, saltLength: number): Signer {
  return (input, key) => signBytes(digest, input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** An ECDSA signature in the form of certificates, not of JOSE. */
export const derSigner: Signer = (input, key) => signBytes('sha256', input, { key, dsaEncoding: 'der' })

export interface ProofParts {
  /** An object, or the text in its place. */
  readonly header: unknown
  readonly payload: unknown
  readonly key: KeyObject
  readonly sign: Signer
}

export function forgeProof({ header, payload, key, sign }: ProofParts): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${encode(sign(Buffer.from(input), key))}`
}

export function goodHeader(alg: string, thumbprint: string) {
  return { typ: proofType, alg, 'x5t#S256': thumbprint }
}

export function goodPayload(token: string, ekm: string, iat: number) {
  return { ath: createHash('sha256').update(token).digest('base64url'), ekm, iat }
}

/** Returns the text of a valid object with one more member, at the beginning or the end. */
export function withMember(good: object, member: string, where: 'first' | 'last'): string {
  const inside = JSON.stringify(good).slice(1, -1)
  return where === 'first' ? `{${member},${inside}}` : `{${inside},${member}}`
}
