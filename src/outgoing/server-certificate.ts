// Whether a server's certificate is one for the host that was asked for (RFC 9525, RFC 9110 §4.3.4), and in words why
// it is not accepted. Only through calls that read one certificate as OpenSSL holds it: Node's legacy object of a chain
// dereferences null where a key is on a curve without a name of NIST's.
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { OutgoingError, quote } from './failure.ts'

/**
 * Whether a certificate is for a host: one of its DNS names, or of its IP addresses. The common name does not count, and a
 * wildcard stands for one whole label (RFC 9525 §6.3). A trailing dot of the host is ignored.
 */
export function isForHost(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined
  return certificate.checkHost(withoutDot(host), { subject: 'never', partialWildcards: false }) !== undefined
}

/** The host as names are compared: `api.example.` is `api.example` (RFC 3986 §3.2.2). */
export function withoutDot(host: string): string {
  return host.replace(/\.$/, '')
}

/** Explains that the certificate is for other names. */
export function explainMismatch({ subjectAltName }: X509Certificate, host: string, address: string): OutgoingError {
  const found =
    subjectAltName === undefined
      ? 'has no subject alternative name, and its common name does not count'
      : `is for ${quote(subjectAltName)}`
  const finding = `the certificate of the server ${found}; it is not for ${host}: check the address, or issue one for it`
  return new OutgoingError('name_mismatch', address, finding)
}

/** Explains OpenSSL's verdict on the chain of a server. `trusted` names the authorities that were used. */
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
  const [words = ''] = message.split(';') // what follows is advice of Node for whoever starts it
  const finding = `the certificate of the server is not trusted by ${trusted}: ${quote(words)} (${code})${whose}`
  const isIncomplete = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)
  const remedy = isIncomplete
    ? 'give the authority that issued it, or let the server send its whole chain'
    : 'replace the certificate of the chain that this is about'
  return new OutgoingError('untrusted', address, `${finding}; ${remedy}`, { cause: verdict })
}

type ExplainValidity = (certificate: X509Certificate | undefined) => string

/** A chain is as valid as each of its certificates; only that of the server itself is at hand. */
const validityProblems: Readonly<Record<string, ExplainValidity>> = {
  CERT_HAS_EXPIRED: certificate =>
    certificate !== undefined && certificate.validToDate.getTime() <= Date.now()
      ? `the certificate of the server expired at ${certificate.validToDate.toISOString()}`
      : 'the certificate of an authority of the server has expired; that of the server itself has not',
  CERT_NOT_YET_VALID: certificate =>
    certificate !== undefined && certificate.validFromDate.getTime() > Date.now()
      ? `the certificate of the server is not valid before ${certificate.validFromDate.toISOString()}`
      : 'the certificate of an authority of the server is not valid yet; that of the server itself is',
}

function describe({ subject, issuer, subjectAltName }: X509Certificate): string {
  // An empty subject is valid where there are alternative names (RFC 5280 §4.1.2.6).
  const who = subject ? quote(subject) : quote(subjectAltName ?? 'no name')
  return `, subject ${who}, issuer ${quote(issuer ?? 'no name')}`
}
