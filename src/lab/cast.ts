// Who plays in a scenario, and what they have: certificates, keys, and where it is at hand what only an issuer has.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { buildBindingProof, hashToken, type ProofClaims } from '../core/binding-proof.ts'
import { readCertificate } from '../core/presenter.ts'

/** PEM texts, and what token requests name. */
export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly clientId: string
  /** Where it knows one, and says who it is by that too. */
  readonly secret?: string | undefined
  /** What its files are called, where that is not its role. */
  readonly name?: string | undefined
}

/** Who plays. Alice is a registered client; without the others some scenarios cannot be tried. */
export interface Cast {
  readonly alice: Identity
  /** Another registered client. */
  readonly bob?: Identity | undefined
  /** A certificate of the same authority that is not registered. */
  readonly mallory?: Identity | undefined
  /** A certificate of an authority that the server does not trust. */
  readonly stranger?: Identity | undefined
  /** Issues further certificates of the authority, where its key is at hand. */
  readonly issue?: ((wish: CertificateWish) => Identity) | undefined
  /** Signs a token with the issuer's own key, where a server lets one be configured: what only the issuer could do. */
  readonly signClaims?: ((header: object, claims: object) => string) | undefined
  /** The authorities of the server's certificate, PEM. */
  readonly ca: string
}

export interface CertificateWish {
  /** Whose subject it names. */
  readonly like: Identity
  /** Renewed for the same key; otherwise for a new one. */
  readonly sameKey?: boolean
  readonly notAfter?: Date
}

/** A binding proof with the key of a certificate; `ekm` is what its connection exports, `claims` go before the right ones. */
export function buildProof(
  who: Identity | null,
  ekm: string | undefined,
  token: string,
  claims: Partial<ProofClaims> = {},
): string {
  if (who === null) throw new TypeError('without a certificate nothing can be proven')
  const { thumbprint } = readCertificate(new X509Certificate(who.certificate))
  const iat = Math.floor(Date.now() / 1000)
  const right = { ath: hashToken(token), ekm: ekm ?? 'none', iat }
  return buildBindingProof({ ...right, ...claims }, createPrivateKey(who.key), thumbprint)
}
