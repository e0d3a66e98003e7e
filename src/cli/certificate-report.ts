// The report of `tlsbound inspect` about a client certificate: mainly the registration members that match it.

import { readAlternativeNames } from '../core/alternative-names.ts'
import { readCertificate } from '../core/presenter.ts'
import { describeSubject, parseSubjectRule } from '../core/subject-rule.ts'
import { loadCertificates } from '../files/pem-files.ts'
import { describeCertificate } from '../tls/certificate-rejection.ts'

export interface CertificateReport {
  readonly type: 'certificate'
  /** The subject as RFC 4514 writes it; null when there is none, or it is unreadable. */
  readonly subject: string | null
  readonly issuer: string | null
  readonly serial: string | null
  readonly 'x5t#S256': string
  readonly not_before: string
  readonly not_after: string
  /** Registration members for `tls_client_auth`; a registration needs exactly one of them. */
  readonly registrations: readonly { readonly member: string; readonly value: string }[]
}

/** How many alternative names are listed. */
const mostNames = 100

/** Reports the first certificate of a PEM file, as data and as text. @throws FileProblem */
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
    return [] // not strict DER; the subject is missing as well
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
    `  subject   ${report.subject ?? 'none or unreadable'}`,
    `  issuer    ${report.issuer ?? 'none or unreadable'}`,
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
