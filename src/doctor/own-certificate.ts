// The server's own certificate: names, usages, chain and dates, as a client of the issuer's address sees them.
import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { readFields, readKeyUsage } from '../core/certificate-fields.ts'
import { isForHost } from '../outgoing/server-certificate.ts'
import type { OwnCertificate } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { describeCertificate } from '../tls/certificate-rejection.ts'
import { checkEnd, type Finding, failure, good, warning } from './finding.ts'

/** Checks what readOwnCertificate has accepted. `now` in milliseconds since 1970. */
export function checkOwnCertificate({ chain }: OwnCertificate, settings: Settings, now: number): Finding[] {
  const certificates = chain.map(({ x509 }) => x509) as [X509Certificate, ...X509Certificate[]]
  return [
    ...certificates.map((x509, index) => checkDates(x509, index, settings, now)),
    checkNames(certificates[0], settings),
    ...checkUsage(certificates[0]),
    checkIssuer(certificates),
  ]
}

function checkDates(x509: X509Certificate, index: number, settings: Settings, now: number): Finding {
  const { tlsCertFile: file, expiryWarningDays } = settings
  const { subject, issuer } = describeCertificate(x509)
  const what = `${file}: ${index === 0 ? '' : 'intermediate '}certificate ${subject} (issuer ${issuer})`
  const begin = x509.validFromDate
  if (begin.getTime() > now) return failure(`${what} is not valid before ${begin.toISOString()}`, 'compare the clocks')
  return checkEnd(what, x509.validToDate.getTime(), now, expiryWarningDays, 'renew it')
}

function checkNames(x509: X509Certificate, { issuer, tlsCertFile: file }: Settings): Finding {
  const host = new URL(issuer).hostname.replace(/^\[|\]$/g, '')
  const names = x509.subjectAltName ?? 'none (no subjectAltName), so no client accepts it'
  if (isForHost(x509, host)) return good(`${file}: the names include ${host}, the host of the issuer: ${names}`)
  const remedy = `get a certificate for ${host}, or set TLSBOUND_ISSUER to an address with one of the names`
  return failure(`${file}: the names do not include ${host}, the host of the issuer: ${names}`, remedy)
}

function checkUsage(x509: X509Certificate): Finding[] {
  const usage = readKeyUsage(readFields(x509.raw))
  if (usage === undefined || usage.digitalSignature) return []
  const found = 'the keyUsage of the certificate lacks digitalSignature, which TLS 1.3 requires'
  return [failure(found, 'get a certificate with that usage')]
}

/** Checks the end of the chain, which clients must trust. */
function checkIssuer(certificates: readonly [X509Certificate, ...X509Certificate[]]): Finding {
  const last = certificates.at(-1) as X509Certificate
  const { issuer } = describeCertificate(last)
  const isAlone = certificates.length === 1
  if (last.subject === last.issuer && last.verify(last.publicKey)) {
    const found = isAlone ? 'the certificate is self-signed' : 'the chain includes its root'
    const advice = isAlone ? 'configure clients to trust it, or get a certificate from an authority' : undefined
    return isAlone ? warning(found, advice) : good(`${found}, which clients must trust`)
  }
  const isRoot = (pem: string) => last.checkIssued(new X509Certificate(pem))
  if (rootCertificates.some(isRoot)) return good(`the chain leads to ${issuer}, a public root`)
  const [, address] = /^CA Issuers - URI:(\S+)$/m.exec(last.infoAccess ?? '') ?? []
  if (address === undefined) return good(`the chain leads to ${issuer}, which clients must trust`)
  const remedy = `append the certificate of ${issuer} to the file; it is published at ${address}`
  return warning(
    `the chain ends before ${issuer}, which is not a public root: an intermediate certificate may be missing`,
    remedy,
  )
}
