// The name that a client certificate must have: one name of one kind, from the registration (RFC 8705 §2.1.2).
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { readAlternativeNames } from './alternative-names.ts'
import { readFields, readUris } from './certificate-fields.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { areReversed, type ComparableName, parseName, readName, withoutStringTypes } from './distinguished-name.ts'
import { writeName } from './name-text.ts'

export const subjectRules = ['subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email'] as const

export interface SubjectRule {
  readonly type: (typeof subjectRules)[number]
  /** In normalized form. */
  readonly value: string
}

/**
 * Parses the name in a registration. If it is malformed, calls `problem` with a sentence that follows the name of the member, and
 * returns undefined.
 */
export function parseSubjectRule(
  type: SubjectRule['type'],
  value: unknown,
  problem: (sentence: string) => void = () => {},
): SubjectRule | undefined {
  try {
    const normal = typeof value === 'string' ? forms[type](value) : undefined
    if (normal !== undefined) return { type, value: normal }
    problem(`is not ${formNames[type]}`)
  } catch (error) {
    problem(`is not ${formNames[type]}${error instanceof RangeError ? `: ${error.message}` : ''}`)
  }
  return undefined
}

const formNames: Readonly<Record<SubjectRule['type'], string>> = {
  subject_dn: 'a distinguished name (RFC 4514)',
  san_dns: 'a DNS name, without wildcard and without a dot at either end',
  san_uri: 'a URI',
  san_ip: 'an IP address',
  san_email: 'an email address',
}

/** Returns whether a certificate has the registered name; its other names are ignored. */
export function matchesSubject({ type, value }: SubjectRule, certificate: X509Certificate): boolean {
  switch (type) {
    case 'subject_dn':
      return namesOf(certificate).subject === value
    case 'san_dns':
      return certificate.checkHost(value, { subject: 'never', wildcards: false }) !== undefined
    case 'san_ip':
      return certificate.checkIP(value) !== undefined // in binary, as RFC 8705 §2.1.2 says
    case 'san_email':
      return certificate.checkEmail(value, { subject: 'never' }) !== undefined
    case 'san_uri':
      return namesOf(certificate).uris.some(uri => uri.equals(Buffer.from(value)))
  }
}

const forms: Readonly<Record<SubjectRule['type'], (value: string) => string | undefined>> = {
  subject_dn: parseName,
  // OpenSSL interprets a leading dot as "any subdomain", so the form is checked strictly.
  san_dns: value =>
    /^(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(value) ? value.toLowerCase() : undefined,
  san_uri: value => (URL.canParse(value) ? value : undefined),
  san_ip: value => {
    if (isIP(value) === 0) return undefined
    return isIP(value) === 4 ? value : new URL(`https://[${value}]`).hostname.slice(1, -1) // throws for a zone
  },
  san_email: value => {
    const [, person, domain] = /^([^\s@\p{Cc}]+)@([A-Za-z0-9.-]+)$/u.exec(value) ?? []
    return person && domain && `${person}@${domain.toLowerCase()}`
  },
}

interface Names {
  readonly subject: ComparableName | undefined
  readonly uris: readonly Buffer[]
}

/** The names of certificates in use: one certificate is compared at each request of its connection, or with each client. */
const knownNames = new WeakMap<X509Certificate, Names>()

/** Returns the names of a certificate. If its structure is unknown, there are no names, and nothing matches. */
function namesOf(certificate: X509Certificate): Names {
  const known = knownNames.get(certificate)
  if (known !== undefined) return known
  const names = readNames(certificate)
  knownNames.set(certificate, names)
  return names
}

function readNames(certificate: X509Certificate): Names {
  try {
    const fields = readFields(certificate.raw)
    return { subject: readName(fields.subject), uris: readUris(fields) }
  } catch {
    return { subject: undefined, uris: [] }
  }
}

/** Returns the subject of a certificate in the format of RFC 4514; undefined if it is absent or malformed. */
export function describeSubject(certificate: X509Certificate): string | undefined {
  const { subject } = namesOf(certificate)
  return subject && writeName(subject)
}

/** The maximum number of alternative names in a fact. */
const maximumNames = 10

/** Explains why a certificate does not match a rule, with both names. */
export function explainMismatch(
  { type, value }: SubjectRule,
  certificate: X509Certificate,
): { detail: DetailOf<'client_mismatch'>; facts: RefusalFacts } {
  try {
    return type === 'subject_dn' ? explainSubject(value, certificate) : explainAlternative(type, value, certificate)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { detail: 'name_unreadable', facts: { registered: describeRule({ type, value }) } }
  }
}

function explainSubject(expected: ComparableName, certificate: X509Certificate): ReturnType<typeof explainMismatch> {
  const registered = writeName(expected)
  const { subject: element } = readFields(certificate.raw)
  const subject = readName(element)
  if (subject === undefined) {
    if (element.content.length > 0) return { detail: 'name_unreadable', facts: { registered } }
    return { detail: 'no_name', facts: { registered, presented: describeAlternatives(certificate) } }
  }
  const facts = { registered, presented: writeName(subject) }
  const [one, other] = [withoutStringTypes(subject), withoutStringTypes(expected)]
  if (one === other) return { detail: 'string_type', facts }
  return { detail: areReversed(one, other) ? 'order_differs' : 'other_name', facts }
}

function explainAlternative(
  type: Exclude<SubjectRule['type'], 'subject_dn'>,
  value: string,
  certificate: X509Certificate,
): ReturnType<typeof explainMismatch> {
  const registered = describeRule({ type, value })
  const names = readAlternativeNames(certificate.raw, maximumNames)
  const presented = describeAlternatives(certificate)
  const isOfOtherKind =
    names.some(name => name.kind !== type && name.value.toLowerCase() === value.toLowerCase()) ||
    certificate.subject?.split('\n').some(part => part.slice(part.indexOf('=') + 1) === value)
  if (isOfOtherKind === true) return { detail: 'other_kind_of_name', facts: { registered, presented } }
  const hasKind = names.some(({ kind }) => kind === type)
  return { detail: hasKind ? 'other_name' : 'no_name', facts: { registered, presented } }
}

function describeRule({ type, value }: SubjectRule): string {
  return type === 'subject_dn' ? writeName(value) : `${type.slice('san_'.length)}:${value}`
}

/** Describes the first alternative names and the subject. */
function describeAlternatives(certificate: X509Certificate): string {
  const subject = describeSubject(certificate)
  const names = readAlternativeNames(certificate.raw, maximumNames)
  const described = names.map(({ kind, value }) => `${kind.replace('san_', '')}:${value}`)
  return [...described, ...(subject === undefined ? [] : [`subject ${subject}`])].join(', ') || 'none'
}
