// A row of the tables of binding proofs, and what all rows share: a time, an issuer, connections.
import { hash } from 'node:crypto'
import type { Signer } from '../../test/helpers/tokens/forge-proof.ts'
import type { ProofVector } from '../../test/helpers/vectors.ts'

/** The parts of a vector, with valid defaults. */
export interface ProofCase {
  readonly name: string
  readonly wrong?: string
  readonly outcome?: string
  /** The connection of the proof. Default: p256. */
  readonly connection?: string
  /** Default: the token issued for the connection's certificate. */
  readonly token?: string
  readonly request?: string
  /** The server's clock, in seconds after `now`. */
  readonly clock?: number
  /** The connection for which the proof was signed. Default: the one that it is presented on. */
  readonly madeOn?: string
  /** The signing key. Default: the one of that connection's certificate. */
  readonly key?: string
  readonly alg?: string
  /** Members that replace valid ones; undefined omits one. Or the text itself, built from a valid one. */
  readonly header?: object | ((good: object) => string)
  readonly payload?: object | ((good: object) => string)
  readonly sign?: Signer
  /** Changes the finished proof. */
  readonly spell?: (proof: string) => string | null
  /** Default: valid. */
  readonly jws?: ProofVector['jws']
}

export const now = 1_800_000_000
export const issuer = 'https://issuer.example'

/** The invented octets that a connection exports. */
export const ekmOf = (connection: string) => hash('sha256', `exported by connection ${connection}`, 'base64url')

/** The key of the certificate on each connection. */
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
