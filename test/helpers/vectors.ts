// Reads the test vectors of test/vectors/, whose format test/vectors/README.md describes.
import type { JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A private key that everybody knows, with its certificate (RFC 7517 §4.7, §4.9); the issuer's has none. */
export interface TestKey extends JsonWebKey {
  readonly kid: string
  readonly x5c?: readonly [string]
  readonly 'x5t#S256'?: string
}

export interface KeySet {
  readonly about: string
  readonly keys: readonly TestKey[]
}

export interface ProofVector {
  readonly name: string
  /** What is wrong, in words; a good one has nothing here. */
  readonly wrong?: string
  /** Names in `connections` and `tokens`. */
  readonly connection: string
  readonly token: string
  /** Method and target, as they stand in the first line. */
  readonly request: string
  /** Seconds since 1970. */
  readonly now: number
  /** The Session-Binding-Proof header; null: there is none. */
  readonly proof: string | null
  /** Whether a JWS library accepts it that has this connection's key and knows nothing of binding proofs. */
  readonly jws?: 'valid' | 'invalid' | 'varies'
  /** `proof`, or the reason of the refusal. */
  readonly outcome: string
  /** Of a good one: whether it is good for one request alone, and whether for others of its connection. */
  readonly per_request?: boolean
  readonly reusable?: boolean
}

export interface ProofVectors {
  readonly about: string
  readonly issuer: string
  readonly connections: Readonly<Record<string, { readonly kid: string; readonly ekm: string | null }>>
  readonly tokens: Readonly<Record<string, { readonly text: string; readonly cnf: object }>>
  readonly vectors: readonly ProofVector[]
}

type Level = 'certificate' | 'proof' | 'connection'

export interface ConfirmationVectors {
  readonly about: string
  /** `bindings`: the channel bindings that it offers, as their values in base64url. */
  readonly connections: Readonly<
    Record<string, { readonly kid: string; readonly bindings: Readonly<Record<string, string>> }>
  >
  readonly issue: readonly {
    readonly connection: string
    readonly level: Level
    readonly outcome: string
    readonly cnf?: object
  }[]
  readonly present: readonly {
    readonly name: string
    readonly connection: string
    /** Whether a good binding proof comes along. */
    readonly proof: boolean
    /** Holds `cnf`, or does not. */
    readonly claims: { readonly cnf?: unknown }
    /** The level, or the reason of the refusal. */
    readonly outcome: string
  }[]
}

interface Files {
  'keys.json': KeySet
  'binding-proof.json': ProofVectors
  'confirmation.json': ConfirmationVectors
}

export const vectorFolder = new URL('../vectors/', import.meta.url)

/** Reads a file of vectors. */
export function readVectors<Name extends keyof Files>(name: Name): Files[Name] {
  return JSON.parse(readFileSync(new URL(name, vectorFolder), 'utf8'))
}
