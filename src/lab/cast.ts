// The cast of a scenario and what they have: certificates, keys, and, if available, what only an issuer has.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { buildBindingProof, hashToken, type ProofClaims } from '../core/binding-proof.ts'
import { readCertificate } from '../core/presenter.ts'

/** An identity: PEM texts, and the client_id of token requests. */
export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly clientId: string
  /** The client secret, if the client authenticates with one. */
  readonly secret?: string | undefined
  /** The name of its files, if it differs from its role. */
  readonly name?: string | undefined
}

/** The cast. Alice is a registered client. Without the others, some scenarios cannot run. */
export interface Cast {
  readonly alice: Identity
  /** Another registered client. */
  readonly bob?: Identity | undefined
  /** An unregistered certificate of the same authority. */
  readonly mallory?: Identity | undefined
  /** A certificate of an authority that the server does not trust. */
  readonly stranger?: Identity | undefined
  /** Issues further certificates, if the key of the authority is available. */
  readonly issue?: ((wish: CertificateWish) => Identity) | undefined
  /** Signs a token with the issuer's own key, if a test server has a configurable one. */
  readonly signClaims?: ((header: object, claims: object) => string) | undefined
  /**
   * Returns the issuer's own Ed25519 key for PASETO, or for JWTs: its id, and a function that signs octets. Like `signClaims`.
   * @throws NotTried if the server has no such key.
   */
  readonly signPaseto?: ((kind: 'paseto' | 'jwt') => PasetoSigner) | undefined
  /** The authorities of the server certificate, PEM. */
  readonly ca: string
}

/** A key of the issuer. */
export interface PasetoSigner {
  readonly kid: string
  sign(octets: Buffer): Buffer
}

export interface CertificateWish {
  /** The identity whose subject the certificate has. */
  readonly like: Identity
  /** Whether the certificate has the same key; otherwise it has a new one. */
  readonly sameKey?: boolean
  /** Whether another authority issues it, which has the name of the real one and a key of its own. */
  readonly isForged?: boolean
  readonly notAfter?: Date
}

/** Builds a binding proof with the key of a certificate. `claims` override the valid ones. */
export function buildProof(
  who: Identity | null,
  ekm: string | undefined,
  token: string,
  claims: Partial<ProofClaims> = {},
): string {
  if (who === null) throw new TypeError('a proof requires a certificate')
  const { thumbprint } = readCertificate(new X509Certificate(who.certificate))
  const iat = Math.floor(Date.now() / 1000)
  const right = { ath: hashToken(token), ekm: ekm ?? 'none', iat }
  return buildBindingProof({ ...right, ...claims }, createPrivateKey(who.key), thumbprint)
}
