// Whose certificate it must be: one name of one kind, as a registration gives it (RFC 8705 §2.1.2).
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { readFields, readUris } from './certificate-fields.ts'
import { parseName, readName } from './distinguished-name.ts'

export const subjectRules = ['subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email'] as const

export interface SubjectRule {
  readonly type: (typeof subjectRules)[number]
  /** In the one spelling that it is compared in. */
  readonly value: string
}

/** Reads the name that a registration demands; undefined when it is not of its form. */
export function readSubjectRule(type: SubjectRule['type'], value: unknown): SubjectRule | undefined {
  try {
    const normal = typeof value === 'string' ? forms[type](value) : undefined
    return normal === undefined ? undefined : { type, value: normal }
  } catch {
    return undefined // a name that parseName or URL cannot read
  }
}

/** Whether a certificate has the one name that a registration demands; no other name of it is looked at. */
export function matchesSubject({ type, value }: SubjectRule, certificate: X509Certificate): boolean {
  switch (type) {
    case 'subject_dn':
      return readNames(certificate).subject === value
    case 'san_dns':
      return certificate.checkHost(value, { subject: 'never', wildcards: false }) !== undefined
    case 'san_ip':
      return certificate.checkIP(value) !== undefined // in binary, as RFC 8705 §2.1.2 says
    case 'san_email':
      return certificate.checkEmail(value, { subject: 'never' }) !== undefined
    case 'san_uri':
      return readNames(certificate).uris.some(uri => uri.equals(Buffer.from(value)))
  }
}

const forms: Readonly<Record<SubjectRule['type'], (value: string) => string | undefined>> = {
  subject_dn: parseName,
  // OpenSSL would take a leading dot as "any subdomain", so the form is checked to the letter.
  san_dns: value =>
    /^(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(value) ? value.toLowerCase() : undefined,
  san_uri: value => (URL.canParse(value) ? value : undefined),
  san_ip: value => {
    if (isIP(value) === 0) return undefined
    return isIP(value) === 4 ? value : new URL(`https://[${value}]`).hostname.slice(1, -1) // which takes no zone
  },
  san_email: value => {
    const [, person, domain] = /^([^\s@\p{Cc}]+)@([A-Za-z0-9.-]+)$/u.exec(value) ?? []
    return person && domain && `${person}@${domain.toLowerCase()}`
  },
}

/** Not UTF-8, or not the structure we know: no names, which are equal to nothing. */
function readNames(certificate: X509Certificate): { subject: string | undefined; uris: Buffer[] } {
  try {
    const fields = readFields(certificate.raw)
    return { subject: readName(fields.subject), uris: readUris(fields) }
  } catch {
    return { subject: undefined, uris: [] }
  }
}
