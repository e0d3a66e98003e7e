// The presenter of a token (RFC 7800 §2), as the TLS layer identifies it.
import { hash, type X509Certificate } from 'node:crypto'
import type { ChannelBindings } from './channel-binding.ts'

/** The client certificate of a connection. The TLS handshake proved possession of its key: here, or to the proxy of `attested`. */
export interface PresenterCertificate {
  /** `x5t#S256`: base64url(SHA-256(DER)), 43 characters (RFC 8705 §3.1). */
  readonly thumbprint: string
  /** Validity in seconds since 1970, inclusive (RFC 5280 §4.1.2.5). */
  readonly notBefore: number
  readonly notAfter: number
  /** Whether the certificate itself is registered, without an authority (RFC 8705 §2.2). */
  readonly pinned: boolean
  readonly x509: X509Certificate
}

export interface Presenter {
  readonly certificate: PresenterCertificate
  readonly bindings: ChannelBindings
  /** Exported keying material for binding proofs: 32 octets in base64url. undefined without a channel binding. */
  readonly ekm?: string | undefined
  /**
   * Present if a proxy ended the TLS connection and states whose certificate it was. The connection here is that of the proxy: it is
   * shared by its clients, so that no token is bound to it and no proof is made for it.
   */
  readonly attested?: 'proxy' | undefined
}

/** Extracts the fields of a certificate that tokens are bound to. Does not verify its trust. */
export function readCertificate(x509: X509Certificate, pinned = false): PresenterCertificate {
  return {
    thumbprint: hash('sha256', x509.raw, 'base64url'),
    notBefore: Math.floor(x509.validFromDate.getTime() / 1000),
    notAfter: Math.floor(x509.validToDate.getTime() / 1000),
    pinned,
    x509,
  }
}
