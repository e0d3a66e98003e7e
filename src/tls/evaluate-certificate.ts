// Evaluates the certificate of a connection after its handshake, by the verdict of OpenSSL. The only certificates that are accepted
// although OpenSSL rejects them are registered ones (RFC 8705 §2.2), which need no authority.
import type { TLSSocket } from 'node:tls'
import { readPurposes } from '../core/certificate-fields.ts'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { type CertificateRejection, explainCertificate } from './certificate-rejection.ts'
import { clientAuth, type Trust } from './trust.ts'

/** The authorities, lists and registrations that apply to a certificate. */
export interface TrustInForce {
  /** Replaced by a reload. */
  trust: Trust
  /** Returns whether the certificate with this thumbprint is registered. */
  readonly isPinned: (thumbprint: string) => boolean
}

export type Evaluation =
  | { readonly certificate: PresenterCertificate; readonly rejection?: undefined }
  | { readonly certificate?: undefined; readonly rejection: CertificateRejection }

/**
 * Evaluates the presented certificate. It is accepted if OpenSSL verified its chain and its extendedKeyUsage contains clientAuth.
 * `authorized` alone is not sufficient.
 */
export function evaluateCertificate(socket: TLSSocket, { trust, isPinned }: TrustInForce): Evaluation {
  const x509 = socket.getPeerX509Certificate()
  if (x509 === undefined) return { rejection: ['no_certificate', 'not_sent'] }
  const error = socket.authorizationError as string | Error | null | undefined
  const isVerified = socket.authorized === true && !error
  // OpenSSL accepts a certificate without extended key usage for every purpose.
  if (isVerified && readPurposes(x509)?.includes(clientAuth)) return { certificate: readCertificate(x509) }
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
 * Explains why OpenSSL rejected the certificate of a failed handshake; undefined if it did not. With most rejected certificates the
 * handshake succeeds, and requests get the reason. But a wrong signature or a malformed extension leaves an error in the queue of
 * OpenSSL. Node then treats it as an error of the connection, and closes it.
 */
export function explainFailedHandshake(socket: TLSSocket, trust: Trust): CertificateRejection | undefined {
  const x509 = socket.getPeerX509Certificate()
  // Check this first: without a certificate and a negotiated cipher, verifyError dereferences null in Node.
  if (x509 === undefined) return undefined
  const error = readVerifyError(socket)
  if (error === undefined) return undefined
  const { code, message } = error
  return explainCertificate({ x509, code, message, sent: x509.issuerCertificate, trust, now: Date.now() })
}

/** Errors for which a registered certificate is rejected too. */
const withoutAppeal = [
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]

/**
 * Reads the last OpenSSL error of a certificate with its message. Node has codes for some errors only, and does not expose the
 * message publicly. Used only for explanations, which work without it if Node changes.
 */
function readVerifyError(socket: TLSSocket): { readonly code: string; readonly message: string } | undefined {
  const { _handle: handle } = socket as { _handle?: { verifyError?: () => NodeJS.ErrnoException | null } | null }
  const error = typeof handle?.verifyError === 'function' ? handle.verifyError() : undefined
  // Node appends advice after a semicolon.
  return error ? { code: String(error.code), message: error.message.replace(/;.*$/s, '') } : undefined
}
