// Loads the test vectors of test/vectors/, whose format test/vectors/README.md describes.
import type { JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A published private key with its certificate (RFC 7517 §4.7, §4.9); the issuer's has none. */
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
  /** A description of the fault; a valid one has none. */
  readonly wrong?: string
  /** Names in `connections` and `tokens`. */
  readonly connection: string
  readonly token: string
  /** Method and target of the request line. */
  readonly request: string
  /** Seconds since 1970. */
  readonly now: number
  /** The Session-Binding-Proof header; null: there is none. */
  readonly proof: string | null
  /** Whether a JWS library accepts it with this connection's key, without support for binding proofs. */
  readonly jws?: 'valid' | 'invalid' | 'varies'
  /** `proof`, or the reason of the refusal. */
  readonly outcome: string
  /** Of a valid one: whether it is limited to one request, and whether it is accepted for others of its connection. */
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
  /** `bindings`: the channel bindings that it offers, with values in base64url. */
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
    /** Whether the request has a valid binding proof. */
    readonly proof: boolean
    /** Contains `cnf`, or not. */
    readonly claims: { readonly cnf?: unknown }
    /** The level, or the reason of the refusal. */
    readonly outcome: string
  }[]
}

/** A request: field values by their names in lower case, and its body, which is text. */
export interface SignedMessage {
  readonly method: string
  /** Host or `:authority`. */
  readonly authority: string
  /** Path and query. */
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  /** null: there is none. */
  readonly body: string | null
}

export interface SignedVector {
  readonly name: string
  /** A description of the fault; a valid one has none. */
  readonly wrong?: string
  /** A name in `connections`. */
  readonly connection: string
  /** Seconds since 1970. */
  readonly now: number
  readonly request: SignedMessage
  /** The signature base that was signed. */
  readonly base: string
  /** `accepted`, or the reason of the refusal. */
  readonly outcome: string
}

export interface SignedVectors {
  readonly about: string
  /** `tls_exporter`: SHA-256 of the channel binding, in base64url. */
  readonly connections: Readonly<Record<string, { readonly kid: string; readonly tls_exporter: string }>>
  readonly vectors: readonly SignedVector[]
}

interface Files {
  'keys.json': KeySet
  'binding-proof.json': ProofVectors
  'confirmation.json': ConfirmationVectors
  'signed-request.json': SignedVectors
}

export const vectorFolder = new URL('../vectors/', import.meta.url)

/** Loads a file of vectors. */
export function readVectors<Name extends keyof Files>(name: Name): Files[Name] {
  return JSON.parse(readFileSync(new URL(name, vectorFolder), 'utf8'))
}
