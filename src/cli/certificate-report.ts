// What `tlsbound inspect` says of a client certificate: above all the members that register it, in the form that is compared.

import { readAlternativeNames } from '../core/alternative-names.ts'
import { readCertificate } from '../core/presenter.ts'
import { describeSubject, parseSubjectRule } from '../core/subject-rule.ts'
import { loadCertificates } from '../files/pem-files.ts'
import { describeCertificate } from '../tls/certificate-rejection.ts'

export interface CertificateReport {
  readonly type: 'certificate'
  /** As RFC 4514 writes it; null: there is none, or none that can be read. */
  readonly subject: string | null
  readonly issuer: string | null
  readonly serial: string | null
  readonly 'x5t#S256': string
  readonly not_before: string
  readonly not_after: string
  /** Each registers the certificate with `tls_client_auth`; exactly one of them belongs into a registration. */
  readonly registrations: readonly { readonly member: string; readonly value: string }[]
}

/** Alternative names that are listed. */
const mostNames = 100

/** Reads the first certificate of a PEM file and describes it, as data and as text. @throws FileProblem */
export function buildCertificateReport(file: string): { readonly report: CertificateReport; readonly words: string } {
  const [{ x509 }] = loadCertificates(file)
  const { thumbprint, notBefore, notAfter } = readCertificate(x509)
  const { issuer, serial } = describeCertificate(x509)
  const subject = describeSubject(x509) ?? null
  const names = readNames(x509.raw).filter(({ kind, value }) => kind !== 'other' && parseSubjectRule(kind, value))
  const report: CertificateReport = {
    type: 'certificate',
    subject,
    issuer: typeof issuer === 'string' ? issuer : null,
    serial: typeof serial === 'string' ? serial : null,
    'x5t#S256': thumbprint,
    not_before: toText(notBefore),
    not_after: toText(notAfter),
    registrations: [
      ...(subject === null ? [] : [{ member: 'tls_client_auth_subject_dn', value: subject }]),
      ...names.map(({ kind, value }) => ({ member: `tls_client_auth_${kind}`, value })),
    ],
  }
  return { report, words: describe(report, file) }
}

function readNames(certificate: Buffer): ReturnType<typeof readAlternativeNames> {
  try {
    return readAlternativeNames(certificate, mostNames)
  } catch {
    return [] // not DER that this program reads: the subject is missing as well
  }
}

function toText(seconds: number): string {
  return Number.isFinite(seconds) ? `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z` : 'unknown'
}

function describe(report: CertificateReport, file: string): string {
  const { registrations } = report
  return [
    `A certificate: ${file}`,
    '',
    `  subject   ${report.subject ?? 'none that can be read'}`,
    `  issuer    ${report.issuer ?? 'none that can be read'}`,
    `  serial    ${report.serial ?? 'unknown'}`,
    `  x5t#S256  ${report['x5t#S256']}`,
    `  valid     from ${report.not_before} to ${report.not_after}`,
    '',
    ...(registrations.length === 0
      ? ['It has no name that can be registered. Register the certificate itself (self_signed_tls_client_auth).']
      : [
          registrations.length === 1 ? 'Register its client with:' : 'Register its client with exactly one of:',
          ...registrations.map(({ member, value }) => `  ${JSON.stringify(member)}: ${JSON.stringify(value)}`),
        ]),
    '',
    'Not verified:',
    '- its chain, and whether it was revoked: tlsbound doctor --certs FOLDER checks it against a server',
  ].join('\n')
}
