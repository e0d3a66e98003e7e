// Verifies the certificate of a client that a proxy forwards. OpenSSL verifies a chain only in a handshake, which the proxy has made.
// Therefore this verifies by itself what decides: the signatures up to a trusted root, dates, usages, the revocation lists. Where
// OpenSSL would look at more, such as name constraints, the certificate is rejected. docs/explanation/threat-model.md says who
// verifies what.
import type { X509Certificate } from 'node:crypto'
import { type CertificateFields, readExtension, readFields } from '../core/certificate-fields.ts'
import { readTime } from '../core/certificate-time.ts'
import { readCertificate } from '../core/presenter.ts'
import { findIssuerProblem } from './authority-standing.ts'
import { findExtensionFlaw, findKeyFlaw, findWeak, hasWeakSignature } from './certificate-flaws.ts'
import {
  type CertificateRejection,
  describeCertificate,
  explainCertificate,
  explainRevocation,
} from './certificate-rejection.ts'
import type { Evaluation, TrustInForce } from './evaluate-certificate.ts'
import { isHandshakeKey } from './handshake-key.ts'
import {
  type Authority,
  type CertificateFacts,
  clientAuth,
  isInForce,
  isInScope,
  isIssuerOf,
  isListOf,
  readCertificateFacts,
  type Trust,
} from './trust.ts'

/**
 * Verifies a forwarded certificate at `now`, in milliseconds since 1970, except for its own dates, which are verified for each request.
 * The issuer must be one of the authorities: a chain that a client or a proxy sends is not read. As in a handshake, a registered
 * certificate needs no authority.
 */
export function evaluateForwarded(x509: X509Certificate, { trust, isPinned }: TrustInForce, now: number): Evaluation {
  const rejection = findRejection(x509, trust, now)
  if (rejection === undefined) return { certificate: readCertificate(x509) }
  const pinned = readCertificate(x509, true)
  const isAppealable = rejection[0] === 'certificate_untrusted' && !withoutAppeal.includes(rejection[1])
  return isAppealable && isPinned(pinned.thumbprint) ? { certificate: pinned } : { rejection }
}

/** Details for which a registered certificate is rejected too. */
const withoutAppeal: readonly string[] = ['malformed', 'usage_missing', 'forwarded_unverifiable']

function findRejection(x509: X509Certificate, trust: Trust, now: number): CertificateRejection | undefined {
  try {
    const fields = readFields(x509.raw)
    if (fields.validity.length !== 2 || fields.validity.some(time => readTime(time) === undefined))
      return reject(x509, 'malformed')
    const facts = readCertificateFacts(x509)
    return (
      explainRevocation(x509, trust, now) ??
      findUnverifiable(x509, fields) ??
      findChainProblem(x509, facts, trust, now) ??
      findFlaw(x509, fields, facts)
    )
  } catch {
    return reject(x509, 'malformed')
  }
}

/** Extensions of a client that OpenSSL compares with its use or its authorities: Netscape type, and addresses (RFC 3779). */
const unverified = ['6086480186f8420101', '2b06010505070107', '2b06010505070108'].map(id => Buffer.from(id, 'hex'))

/** Finds what only a handshake verifies. */
function findUnverifiable(x509: X509Certificate, fields: CertificateFields): CertificateRejection | undefined {
  const hasKey = findKeyFlaw(x509, fields) === undefined && isHandshakeKey(x509.publicKey, fields)
  const found = hasKey ? 'an extension that only a handshake verifies' : 'a key that TLS 1.3 does not have'
  const isOrdinary = hasKey && unverified.every(id => readExtension(fields, id) === undefined)
  return isOrdinary ? undefined : reject(x509, 'forwarded_unverifiable', { found })
}

/** Finds what is wrong with a certificate that an authority has issued. */
function findFlaw(
  x509: X509Certificate,
  fields: CertificateFields,
  { purposes, keyUsage }: CertificateFacts,
): CertificateRejection | undefined {
  if (hasWeakSignature(x509)) return reject(x509, 'signature_too_weak', { alg: x509.signatureAlgorithm })
  if (findExtensionFlaw(fields) !== undefined) return reject(x509, 'critical_extension')
  if (keyUsage !== undefined && !keyUsage.digitalSignature && !keyUsage.keyAgreement) return reject(x509, 'key_usage')
  if (purposes === undefined) return reject(x509, 'usage_missing')
  if (!purposes.includes(clientAuth)) return reject(x509, 'usage_not_client')
  return findWeak([x509]).length > 0 ? reject(x509, 'key_too_weak') : undefined // takes 2 ms, so it is the last
}

function findChainProblem(
  x509: X509Certificate,
  facts: CertificateFacts,
  trust: Trust,
  now: number,
): CertificateRejection | undefined {
  const issuers = trust.authorities.filter(authority => isIssuerOf(authority, facts))
  const problems = issuers.map(issuer => findProblemWith(issuer, x509, facts, trust, now))
  if (problems.length > 0) return problems.includes(undefined) ? undefined : problems[0]
  const code = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
  return explainCertificate({ x509, code, message: undefined, sent: undefined, trust, now })
}

/** Finds why one of the authorities does not vouch for a certificate that names it as its issuer. */
function findProblemWith(
  issuer: Authority,
  x509: X509Certificate,
  facts: CertificateFacts,
  trust: Trust,
  now: number,
): CertificateRejection | undefined {
  const authority = issuer.subjectText
  // A self-signed certificate that is trusted as a client is no authority.
  if (issuer.incapacity !== undefined) return reject(x509, 'authority_key_usage', { authority })
  if (!isSignedBy(x509, issuer.x509)) return reject(x509, 'signature', { authority })
  const found = findIssuerProblem(issuer, trust, now) ?? findConstraint(issuer, trust)
  if (found !== undefined) return reject(x509, 'authority_problem', { authority, found })
  const isListed = trust.lists.some(
    list => isListOf(list, issuer) && isInScope(list, 'clients', facts.distributionPoints) && isInForce(list, now),
  )
  return trust.lists.length === 0 || isListed ? undefined : reject(x509, 'list_scope', { authority })
}

function isSignedBy(x509: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return x509.checkIssued(issuer) && x509.verify(issuer.publicKey)
  } catch {
    return false // a key that OpenSSL cannot read
  }
}

/** nameConstraints (RFC 5280 §4.2.1.10), as the content of its object identifier. */
const nameConstraints = Buffer.from('551d1e', 'hex')

/** Finds a restriction of an authority, or of one that may be above it, that only a handshake verifies. */
function findConstraint(issuer: Authority, { authorities }: Trust): string | undefined {
  const above = new Set([issuer])
  for (const authority of above)
    for (const candidate of authorities) if (isIssuerOf(candidate, authority)) above.add(candidate)
  const constrained = [...above].find(({ x509 }) => readExtension(readFields(x509.raw), nameConstraints) !== undefined)
  return constrained && `${constrained.subjectText} has name constraints, which are verified in a handshake only`
}

type UntrustedDetail = Extract<CertificateRejection, readonly ['certificate_untrusted', ...unknown[]]>[1]

function reject(x509: X509Certificate, detail: UntrustedDetail, more: object = {}): CertificateRejection {
  return ['certificate_untrusted', detail, { ...describeCertificate(x509), ...more }]
}
