// Evaluates the certificate of a connection whose handshake has just ended, by the verdict of OpenSSL. Nothing here accepts what
// OpenSSL refuses, but a certificate that is registered itself (RFC 8705 §2.2), for which no authority needs to vouch.
import type { TLSSocket } from 'node:tls'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { type CertificateRejection, explainCertificate } from './certificate-rejection.ts'
import { clientAuth, type Trust } from './trust.ts'

/** What a certificate is evaluated by. */
export interface TrustInForce {
  /** A reload puts another one in its place. */
  trust: Trust
  /** Whether the certificate of this thumbprint is registered itself. */
  readonly isPinned: (thumbprint: string) => boolean
}

export type Evaluation =
  | { readonly certificate: PresenterCertificate; readonly rejection?: undefined }
  | { readonly certificate?: undefined; readonly rejection: CertificateRejection }

/**
 * Evaluates the presented certificate. Authenticated means: a certificate is there, OpenSSL has verified its chain, its purpose
 * is client authentication by name; never `authorized` alone.
 */
export function evaluateCertificate(socket: TLSSocket, { trust, isPinned }: TrustInForce): Evaluation {
  const x509 = socket.getPeerX509Certificate()
  if (x509 === undefined) return { rejection: ['no_certificate', 'not_sent'] }
  const error = socket.authorizationError as string | Error | null | undefined
  const isVerified = socket.authorized === true && !error
  // OpenSSL lets a certificate without extended key usage pass for every purpose. Node calls that usage `keyUsage`.
  if (isVerified && x509.keyUsage?.includes(clientAuth)) return { certificate: readCertificate(x509) }
  const code = isVerified ? undefined : String(error)
  if (code !== undefined && !withoutAppeal.includes(code)) {
    const pinned = readCertificate(x509, true)
    if (isPinned(pinned.thumbprint)) return { certificate: pinned }
  }
  const { message } = readVerifyError(socket) ?? {}
  const sent = x509.issuerCertificate
  return { rejection: explainCertificate({ x509, code, message, sent, trust, now: Date.now() }) }
}

/**
 * Why OpenSSL refuses the certificate of a handshake that has failed; undefined: it refuses none. With most certificates that
 * it refuses the handshake succeeds all the same, and requests get the reason. But where the verification leaves an error in
 * OpenSSL's queue, as a wrong signature or a malformed extension does, Node takes it for one of the connection and ends that.
 */
export function explainFailedHandshake(socket: TLSSocket, trust: Trust): CertificateRejection | undefined {
  const x509 = socket.getPeerX509Certificate()
  // First: without a certificate and a cipher that was agreed on, Node dereferences null when it is asked for the error.
  if (x509 === undefined) return undefined
  const error = readVerifyError(socket)
  if (error === undefined) return undefined
  const { code, message } = error
  return explainCertificate({ x509, code, message, sent: x509.issuerCertificate, trust, now: Date.now() })
}

/** What is wrong with a certificate even where it is registered itself. */
const withoutAppeal = [
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]

/**
 * OpenSSL's last error about a certificate, with its words: Node has codes for some errors only, and keeps the words to itself.
 * Just for the explanation, which does without them where Node keeps them in another place.
 */
function readVerifyError(socket: TLSSocket): { readonly code: string; readonly message: string } | undefined {
  const { _handle: handle } = socket as { _handle?: { verifyError?: () => NodeJS.ErrnoException | null } | null }
  const error = typeof handle?.verifyError === 'function' ? handle.verifyError() : undefined
  // Node adds advice of its own after a semicolon.
  return error ? { code: String(error.code), message: error.message.replace(/;.*$/s, '') } : undefined
}
