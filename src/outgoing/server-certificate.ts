// Verifies that a server's certificate is for the requested host (RFC 9525, RFC 9110 §4.3.4), and explains rejections.
// It reads single certificates only: building Node's legacy object of a chain crashes on a key on a curve without a
// NIST name.
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { OutgoingError, quote } from './failure.ts'

/**
 * Returns whether a certificate is for a host, by its DNS names and IP addresses. The common name does not count, and a
 * wildcard matches one whole label (RFC 9525 §6.3). A trailing dot of the host is ignored.
 */
export function isForHost(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined
  return certificate.checkHost(withoutDot(host), { subject: 'never', partialWildcards: false }) !== undefined
}

/** Normalizes a host for comparison: `api.example.` is `api.example` (RFC 3986 §3.2.2). */
export function withoutDot(host: string): string {
  return host.replace(/\.$/, '')
}

/** Explains a certificate for other names. */
export function explainMismatch({ subjectAltName }: X509Certificate, host: string, address: string): OutgoingError {
  const found =
    subjectAltName === undefined
      ? 'has no subject alternative name, and its common name does not count'
      : `is for ${quote(subjectAltName)}`
  const finding = `the server certificate ${found}, not for ${host}; check the address, or issue a certificate for it`
  return new OutgoingError('name_mismatch', address, finding)
}

/** Explains OpenSSL's verdict on a server's chain. `trusted` names the authorities that were used. */
export function explainVerdict(
  verdict: NodeJS.ErrnoException,
  certificate: X509Certificate | undefined,
  trusted: string,
  address: string,
): OutgoingError {
  const { code = 'UNSPECIFIED', message } = verdict
  const whose = certificate === undefined ? '' : describe(certificate)
  const validity = validityProblems[code]
  if (validity !== undefined) {
    const finding = `${validity(certificate)}${whose}; renew it, and check the clock of this machine`
    return new OutgoingError('outside_validity', address, finding, { cause: verdict })
  }
  const [words = ''] = message.split(';') // the rest is advice of Node
  const finding = `the server certificate is not trusted by ${trusted}: ${quote(words)} (${code})${whose}`
  const isIncomplete = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)
  const remedy = isIncomplete
    ? 'configure the authority that issued it, or make the server send its complete chain'
    : 'replace this certificate of the chain'
  return new OutgoingError('untrusted', address, `${finding}; ${remedy}`, { cause: verdict })
}

type ExplainValidity = (certificate: X509Certificate | undefined) => string

/** Explains an invalid validity period. Only the server's certificate is known, not the rest of its chain. */
const validityProblems: Readonly<Record<string, ExplainValidity>> = {
  CERT_HAS_EXPIRED: certificate =>
    certificate !== undefined && certificate.validToDate.getTime() <= Date.now()
      ? `the server certificate expired at ${certificate.validToDate.toISOString()}`
      : 'the certificate of an authority of the server has expired, but not the server certificate itself',
  CERT_NOT_YET_VALID: certificate =>
    certificate !== undefined && certificate.validFromDate.getTime() > Date.now()
      ? `the server certificate is not valid before ${certificate.validFromDate.toISOString()}`
      : 'the certificate of an authority of the server is not valid yet, but the server certificate is',
}

function describe({ subject, issuer, subjectAltName }: X509Certificate): string {
  // An empty subject is valid where there are alternative names (RFC 5280 §4.1.2.6).
  const who = subject ? quote(subject) : quote(subjectAltName ?? 'no name')
  return `, subject ${who}, issuer ${quote(issuer ?? 'no name')}`
}
