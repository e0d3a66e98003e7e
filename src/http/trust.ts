// Judges client certificates, with a reason for each refusal: once at the handshake on OpenSSL's verdict,
// and again for live connections when the authorities or revocation lists were reloaded. Builds no chains itself.
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { readFields, readRevocations } from '../core/certificate-fields.ts'
import type { Element } from '../core/der.ts'
import { readName } from '../core/distinguished-name.ts'
import type { Reason } from '../core/errors.ts'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
// '../core/errors.ts'

export type CertificateProblem = Extract<
  Reason,
  'no_certificate' | `certificate_${'untrusted' | 'expired' | 'revoked'}`
>

/** What is trusted since the last load of the files; a new load makes a new object. */
export interface Trust {
  readonly authorities: readonly X509Certificate[]
  /** Issuer and serial number of every revoked certificate. */
  readonly revoked: ReadonlySet<string>
}

/** Reads PEM bundles of authorities and revocation lists. @throws Error when one of them is not what it should be. */
export function readTrust(authorities: string, revocationLists: readonly string[]): Trust {
  const certificates = splitPem(authorities, 'CERTIFICATE')
  const revoked = revocationLists.flatMap(list => {
    const { issuer, serials } = readRevocations(decodePem(list))
    return serials.map(serial => identify(issuer, serial))
  })
  return { authorities: certificates.map(pem => new X509Certificate(pem)), revoked: new Set(revoked) }
}

/**
 * Cuts a bundle into its blocks: of several revocation lists in one text, Node would load the first only.
 * @throws Error when there is none, or something else among them.
 */
export function splitPem(bundle: string, label: 'CERTIFICATE' | 'X509 CRL'): string[] {
  const blocks = bundle.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g')) ?? []
  if (blocks.length === 0 || blocks.length !== bundle.split('-----BEGIN').length - 1)
    throw new Error(`there must be PEM blocks of ${label}, and no others`)
  return blocks
}

/**
 * Judges the certificate of a connection whose handshake has just ended. Authenticated means: a certificate is there,
 * OpenSSL has verified its chain, its purpose is client authentication by name; never `authorized` alone.
 */
export function judge(
  socket: TLSSocket,
  isPinned: (thumbprint: string) => boolean,
): PresenterCertificate | CertificateProblem {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return 'no_certificate'
  const error = socket.authorizationError as string | Error | null | undefined
  if (socket.authorized !== true || error) {
    const problem = problems[String(error)] ?? 'certificate_untrusted'
    if (problem !== 'certificate_untrusted') return problem
    const pinned = readCertificate(certificate, true)
    return isPinned(pinned.thumbprint) ? pinned : problem
  }
  // OpenSSL lets a certificate without extended key usage pass for every purpose.
  if (!certificate.keyUsage?.includes(clientAuth)) return 'certificate_untrusted'
  return readCertificate(certificate)
}

/** Judges a certificate that was acceptable at its handshake by what is trusted now. */
export function judgeAgain(
  certificate: PresenterCertificate,
  trust: Trust,
  isPinned: (thumbprint: string) => boolean,
): CertificateProblem | undefined {
  if (certificate.pinned) return isPinned(certificate.thumbprint) ? undefined : 'certificate_untrusted'
  let top: X509Certificate | undefined = certificate.x509
  for (let depth = 0; top !== undefined && depth < maximumDepth; depth++) {
    const { issuer, serial } = readFields(top.raw)
    if (trust.revoked.has(identify(issuer, serial))) return 'certificate_revoked'
    const below: X509Certificate = top
    const authority = trust.authorities.find(candidate => isIssuedBy(below, candidate))
    if (authority !== undefined && isIssuedBy(authority, authority)) return undefined // a root that is still trusted
    top = authority ?? top.issuerCertificate
  }
  return 'certificate_untrusted'
}

/** id-kp-clientAuth (RFC 5280 §4.2.1.12). Node calls the extended key usage `keyUsage`. */
const clientAuth = '1.3.6.1.5.5.7.3.2'

/** OpenSSL looks at no more certificates than this by default either. */
const maximumDepth = 100

const problems: Readonly<Record<string, CertificateProblem>> = {
  CERT_HAS_EXPIRED: 'certificate_expired',
  CERT_NOT_YET_VALID: 'certificate_expired',
  CERT_REVOKED: 'certificate_revoked',
}

function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

/** Names are compared by what they say where we can read it, since an encoder may choose another string type. */
function identify(issuer: Element, serial: Buffer): string {
  return `${serial.toString('hex')} ${readName(issuer) ?? issuer.content.toString('hex')}`
}

export function decodePem(block: string): Buffer {
  return Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64')
}
