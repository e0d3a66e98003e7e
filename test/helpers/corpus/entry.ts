// The entries of the corpus: files as people write them, each with the expected verdict.
import type { KeyObject } from 'node:crypto'
import type { Reason } from '../../../src/core/errors.ts'

export type Kind =
  | 'client certificate'
  | 'authorities'
  | 'revocation lists'
  | 'server certificate'
  | 'private key'
  | 'signing keys'
  | 'keys of an issuer'
  | 'keys of leak reporters'
  | 'JSON list'

export interface Entry {
  /** Unique, and the same in every run. */
  readonly name: string
  readonly kind: Kind
  /** By file name. A missing one is the server's default. */
  readonly files: Readonly<Record<string, string | Buffer>>
}

/** The result of a client certificate in a handshake; `handshake fails` is an alert before any request. */
export type ClientVerdict = 'accepted' | 'handshake fails' | Extract<Reason, `certificate_${string}` | 'no_certificate'>

/** The authorities and revocation lists of a server. */
export interface Trust {
  readonly ca: string
  readonly crl?: string
}

export interface ClientEntry extends Entry {
  readonly kind: 'client certificate'
  readonly trust: Trust
  /** The certificates that the client sends, leaf first. */
  readonly chain: readonly Buffer[]
  readonly scheme: number
  readonly sign: (content: Buffer) => Buffer
  readonly verdict: ClientVerdict
}

/** The result of loading files. */
export type LoadVerdict = 'loaded' | 'refused'

/** Authorities or revocation lists. */
export interface TrustEntry extends Entry {
  readonly kind: 'authorities' | 'revocation lists'
  /** Once the files are loaded, all of these are accepted, */
  readonly served: readonly ClientEntry[]
  /** and none of these is. */
  readonly refused: readonly ClientEntry[]
  /** undefined: both are allowed, if the rest agrees. */
  readonly load: LoadVerdict | undefined
}

export interface ServerEntry extends Entry {
  readonly kind: 'server certificate' | 'private key'
  readonly load: LoadVerdict | undefined
  /** The certificates that a client receives once the files are loaded; undefined: not compared. */
  readonly sends: readonly Buffer[] | undefined
}

export interface JsonEntry extends Entry {
  readonly kind: 'signing keys' | 'keys of an issuer' | 'keys of leak reporters' | 'JSON list'
  /** The file of a setting. */
  readonly file: string
  readonly load: LoadVerdict | undefined
  /** A key whose tokens must be accepted with the file, or must not if it is weak. */
  readonly signer?: {
    readonly key: KeyObject
    readonly alg: string
    readonly kid?: string
    readonly isWeak?: boolean
  }
}
