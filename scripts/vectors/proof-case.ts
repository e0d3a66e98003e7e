// A line of the tables of binding proofs, and the world that all of them live in: a time, an issuer, connections.
import { hash } from 'node:crypto'
import type { Signer } from '../../test/helpers/tokens/forge-proof.ts'
import type { ProofVector } from '../../test/helpers/vectors.ts'

/** What a vector is made of; whatever is left out is as it should be. */
export interface ProofCase {
  readonly name: string
  readonly wrong?: string
  readonly outcome?: string
  /** What the proof comes on. Default: p256. */
  readonly connection?: string
  /** Default: the one that was issued to the connection's certificate. */
  readonly token?: string
  readonly request?: string
  /** The server's clock, in seconds beside `now`. */
  readonly clock?: number
  /** The connection that the proof was made on and for. Default: the one that it comes on. */
  readonly madeOn?: string
  /** The key that signs. Default: the one of the certificate there. */
  readonly key?: string
  readonly alg?: string
  /** Members over those of a good one; undefined leaves one out. Or the text itself, built from a good one. */
  readonly header?: object | ((good: object) => string)
  readonly payload?: object | ((good: object) => string)
  readonly sign?: Signer
  /** What becomes of the finished proof. */
  readonly spell?: (proof: string) => string | null
  /** Default: valid. */
  readonly jws?: ProofVector['jws']
}

export const now = 1_800_000_000
export const issuer = 'https://issuer.example'

/** The octets that a connection exports, made up. */
export const ekmOf = (connection: string) => hash('sha256', `exported by connection ${connection}`, 'base64url')

/** Which key's certificate the presenter of each connection has. */
export const connections: Readonly<Record<string, string>> = {
  p256: 'p256',
  p384: 'p384',
  ed25519: 'ed25519',
  rsa: 'rsa',
  'p256, a later connection': 'p256',
  'p256, without keying material': 'p256',
  'p256-renewed': 'p256-renewed',
  other: 'other',
  p521: 'p521',
  secp256k1: 'secp256k1',
  rsa1024: 'rsa1024',
  ed448: 'ed448',
}
export const algorithms: Readonly<Record<string, string>> = {
  p384: 'ES384',
  ed25519: 'EdDSA',
  rsa: 'PS256',
  p521: 'ES512',
  secp256k1: 'ES256K',
  rsa1024: 'RS256',
  ed448: 'EdDSA',
}
