// The proxies whose statement about the certificate of their client is believed. Each is identified by its own client certificate.
import { isObject } from './check-options.ts'
import { type Client, marksOf } from './client.ts'
import { type CertificateForm, certificateForms } from './forwarded-certificate.ts'
import type { PresenterCertificate } from './presenter.ts'
import { findSimilarName } from './similar-name.ts'
import { matchesSubject, parseSubjectRule, type SubjectRule, subjectRules } from './subject-rule.ts'

export interface CertificateProxy {
  /** The name that its certificate must have; undefined: the certificate itself is given. */
  readonly subject: SubjectRule | undefined
  /** Whether it connects by the socket file of the server, whose folder decides who can open it, and so needs no certificate. */
  readonly socket: boolean
  /** `x5t#S256` of its certificates. */
  readonly certificates: ReadonlySet<string>
  readonly form: CertificateForm
  /** The name of the field that is read, in lower case. */
  readonly header: string
  /** Whether it may ask `/authz`. One that only forwards must not, or its clients could. */
  readonly authz: boolean
}

const subjectMembers = subjectRules.map(type => [`tls_client_auth_${type}`, type] as const)
const members = ['form', 'header', 'authz', 'socket', 'x5t#S256', ...subjectMembers.map(([name]) => name)]

export const mostProxies = 100

/** Fields that mean something else to this server or to HTTP. */
const otherFields =
  /^(?:authorization|cookie|host|expect|connection|session-binding-proof|te|trailer|upgrade|content-.*)$/

/** Parses a list of proxies. `problems` receives a sentence for each error. */
export function parseCertificateProxies(list: unknown, problems: string[]): CertificateProxy[] {
  if (!Array.isArray(list) || list.length > mostProxies) {
    problems.push(`the list of proxies must be a JSON array of at most ${mostProxies}`)
    return []
  }
  const parsed = list.flatMap((entry, index) => {
    const problem = (sentence: string) => void problems.push(`proxy number ${index + 1}: ${sentence}`)
    return parseProxy(entry, problem) ?? []
  })
  const marks = parsed.flatMap(marksOf)
  // The form of its field would be a matter of order.
  const isRepeated = new Set(marks).size < marks.length || parsed.filter(({ socket }) => socket).length > 1
  if (isRepeated) problems.push('two proxies have the same certificate or name, or the socket')
  return parsed
}

function parseProxy(entry: unknown, problem: (sentence: string) => void): CertificateProxy | undefined {
  if (!isObject(entry)) {
    problem('must be a JSON object')
    return undefined
  }
  const { form, header, authz = false } = entry as Record<string, unknown>
  const given = entry as Record<string, unknown>
  const problems: string[] = []
  for (const name of Object.keys(given)) if (!members.includes(name)) problems.push(describeUnknown(name))
  const isForm = typeof form === 'string' && Object.hasOwn(certificateForms, form)
  if (!isForm) problems.push(`form must be one of ${Object.keys(certificateForms).join(', ')}`)
  if (header !== undefined && !isFieldName(header))
    problems.push(
      'header must be the name of a field of at most 64 letters, digits and hyphens that has no other meaning',
    )
  if (typeof authz !== 'boolean') problems.push('authz must be true or false')
  const identity = parseIdentity(given, sentence => void problems.push(sentence))
  problems.forEach(problem)
  if (problems.length > 0 || identity === undefined) return undefined
  const known = form as CertificateForm
  return {
    ...identity,
    form: known,
    header: ((header as string) ?? certificateForms[known].header).toLowerCase(),
    authz: authz as boolean,
  }
}

function isFieldName(value: unknown): boolean {
  return (
    typeof value === 'string' && /^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(value) && !otherFields.test(value.toLowerCase())
  )
}

function parseIdentity(
  entry: Record<string, unknown>,
  problem: (sentence: string) => void,
): Pick<CertificateProxy, 'subject' | 'certificates' | 'socket'> | undefined {
  const names = ['x5t#S256', 'socket', ...subjectMembers.map(([name]) => name)].filter(
    name => entry[name] !== undefined,
  )
  const [name] = names
  if (name === undefined || names.length > 1) {
    problem(`exactly one of x5t#S256, socket and ${subjectMembers.map(([member]) => member).join(', ')} must be given`)
    return undefined
  }
  if (name === 'socket') {
    if (entry.socket === true) return { subject: undefined, certificates: new Set(), socket: true }
    problem('socket must be true: TLSBOUND_PROXY_SOCKET has its path')
    return undefined
  }
  if (name === 'x5t#S256') {
    const thumbprints = [entry[name]].flat()
    if (thumbprints.length > 0 && thumbprints.every(isThumbprint))
      return { subject: undefined, certificates: new Set(thumbprints as string[]), socket: false }
    problem('x5t#S256 must be a thumbprint, or a list of thumbprints: SHA-256 of the DER, 43 characters of base64url')
    return undefined
  }
  const type = subjectRules.find(rule => name === `tls_client_auth_${rule}`) as SubjectRule['type']
  const subject = parseSubjectRule(type, entry[name], sentence => problem(`${name} ${sentence}`))
  return subject && { subject, certificates: new Set(), socket: false }
}

function isThumbprint(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value)
}

function describeUnknown(name: string): string {
  const similar = findSimilarName(name, members)
  return `unknown member ${JSON.stringify(name).slice(0, 40)}${similar === undefined ? '' : `; did you mean ${similar}?`}`
}

/** Parses a list of proxies. @throws Error with every problem. */
export function requireCertificateProxies(list: unknown = []): CertificateProxy[] {
  const problems: string[] = []
  const proxies = parseCertificateProxies(list, problems)
  if (problems.length > 0) throw new Error(`clientCertFrom: ${problems.join('; ')}`)
  return proxies
}

/** Finds the proxy that an accepted certificate identifies. A name counts only if an authority vouches for it. */
export function findCertificateProxy(
  proxies: readonly CertificateProxy[],
  { thumbprint, pinned, x509 }: PresenterCertificate,
): CertificateProxy | undefined {
  return proxies.find(({ subject, certificates }) =>
    subject === undefined ? certificates.has(thumbprint) : !pinned && matchesSubject(subject, x509),
  )
}

/**
 * Requires that no certificate with the name of a proxy, or its certificate, also authenticates a client: that client could state the
 * certificate of every other one. `proxies` are all of a list.
 * @throws Error that names both.
 */
export function requireNoClient(proxies: readonly CertificateProxy[], clients: Iterable<Client>): void {
  const numbers = new Map(proxies.flatMap((proxy, index) => marksOf(proxy).map(mark => [mark, index + 1] as const)))
  if (numbers.size === 0) return
  for (const client of clients) {
    const number = marksOf(client)
      .map(mark => numbers.get(mark))
      .find(found => found !== undefined)
    if (number === undefined) continue
    const what = client.subject === undefined ? 'certificate' : 'name'
    throw new Error(
      `proxy number ${number} of clientCertFrom (TLSBOUND_CLIENT_CERT_FROM) has the ${what} of client ${client.id}, which could then state the certificate of any other client; give the proxy one that no client has`,
    )
  }
}

/** Requires that an entry of the list is for the socket if and only if there is one. `path`: the setting. @throws Error */
export function requireSocketEntry(proxies: readonly CertificateProxy[], path: string | undefined): void {
  const hasEntry = proxies.some(({ socket }) => socket)
  if (hasEntry && path === undefined)
    throw new Error(
      'a proxy of clientCertFrom (TLSBOUND_CLIENT_CERT_FROM) has socket, but proxySocket (TLSBOUND_PROXY_SOCKET) is not set',
    )
  if (!hasEntry && path !== undefined)
    throw new Error(
      'proxySocket (TLSBOUND_PROXY_SOCKET) is set, but no proxy of clientCertFrom (TLSBOUND_CLIENT_CERT_FROM) has "socket": true, which says how that proxy states the certificates of its clients',
    )
}
