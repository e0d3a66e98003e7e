// The presenter: what the TLS layer knows about whoever is talking to us (RFC 7800 §2).
import { hash, type X509Certificate } from 'node:crypto'
import type { ChannelBindings } from './channel-binding.ts'

/** The client certificate of a connection, which TLS has proved the possession of. */
export interface PresenterCertificate {
  /** `x5t#S256`: base64url(SHA-256(DER)), 43 characters (RFC 8705 §3.1). */
  readonly thumbprint: string
  /** Validity in seconds since 1970; both ends belong to it (RFC 5280 §4.1.2.5). */
  readonly notBefore: number
  readonly notAfter: number
  /** No authority vouches for it: it is registered itself (RFC 8705 §2.2). */
  readonly pinned: boolean
  readonly x509: X509Certificate
}

export interface Presenter {
  readonly certificate: PresenterCertificate
  readonly bindings: ChannelBindings
  /** What binding proofs are made over, 32 octets in base64url; undefined where the connection has no channel binding. */
  readonly ekm?: string | undefined
}

/** Reads what we need of a certificate. Whether it is trusted is for others to say. */
export function readCertificate(x509: X509Certificate, pinned = false): PresenterCertificate {
  return {
    thumbprint: hash('sha256', x509.raw, 'base64url'),
    notBefore: Math.floor(x509.validFromDate.getTime() / 1000),
    notAfter: Math.floor(x509.validToDate.getTime() / 1000),
    pinned,
    x509,
  }
}
