// Which authorities and revocation lists a listener uses. OpenSSL decides in a handshake who is trusted; this file only makes
// sure that it gets what was counted here, and refuses what it would not apply as it is meant. No chain is built here and no
// signature verified.
import { hash, type X509Certificate } from 'node:crypto'
import { type CanonicalName, readCanonicalName } from '../core/canonical-name.ts'
import {
  type AuthorityKey,
  type CertificateFields,
  readAuthorityKey,
  readBasicConstraints,
  readDistributionPoints,
  readFields,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from '../core/certificate-fields.ts'
import { readTime } from '../core/certificate-time.ts'
import { verifyListSignature } from '../core/list-signature.ts'
import { formatName } from '../core/name-text.ts'
import {
  isOverlapping,
  parseRevocationList,
  type RevocationList,
  type RevokedEntry,
  UnusableListError,
} from '../core/revocation-list.ts'
import {
  findAuthorityFlaw,
  findExtensionFlaw,
  findKeyFlaw,
  findWeak,
  hasWeakSignature,
  weakness,
} from './certificate-flaws.ts'

/** What is trusted since the last load of the files; a load of anything else makes a new object. */
export interface Trust {
  readonly authorities: readonly Authority[]
  readonly lists: readonly TrustedList[]
}

/** What identifies a certificate, its issuer and its key: all that is compared here. */
export interface CertificateFacts {
  readonly subject: CanonicalName
  readonly issuer: CanonicalName
  /** Both as RFC 4514 writes them. */
  readonly subjectText: string
  readonly issuerText: string
  readonly serial: Buffer
  readonly subjectKeyIdentifier: Buffer | undefined
  readonly authorityKey: AuthorityKey | undefined
  readonly distributionPoints: readonly string[]
  readonly keyUsage: ReturnType<typeof readKeyUsage>
  /** Object identifiers of the extended key usage; undefined: there is no such extension. */
  readonly purposes: readonly string[] | undefined
  /** Content of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface Authority extends CertificateFacts {
  readonly x509: X509Certificate
  /** How many authorities may stand between it and a client (RFC 5280 §4.2.1.9); undefined: any number. */
  readonly pathLength: number | undefined
  /** Why OpenSSL accepts it in no chain, and what to do; completes "the certificate …". */
  readonly flaw: string | undefined
  /** Why OpenSSL accepts no certificate that it issued; likewise. */
  readonly incapacity: string | undefined
}

export interface TrustedList extends RevocationList {
  readonly issuerName: CanonicalName
  /** As RFC 4514 writes it. */
  readonly issuerText: string
  /** SHA-256 of the DER. */
  readonly digest: string
}

/** An authority or a list that must not be used. The message names it within its file, and says what to do. */
export class TrustProblem extends Error {
  override readonly name = 'TrustProblem'
  readonly of: 'authorities' | 'lists'
  /** Which one of them, from 0; undefined: several. */
  readonly index: number | undefined

  constructor(of: TrustProblem['of'], message: string, index?: number) {
    super(message)
    this.of = of
    this.index = index
  }
}

/** id-kp-clientAuth (RFC 5280 §4.2.1.12). */
export const clientAuth = '1.3.6.1.5.5.7.3.2'

/**
 * Reads authorities, and revocation lists in DER.
 * @throws TrustProblem for one that must not be used.
 */
export function loadTrust(authorities: readonly X509Certificate[], lists: readonly Buffer[]): Trust {
  const weak = new Set(findWeak(authorities))
  const trusted = authorities.map((x509, index) => readAuthority(x509, index, authorities.length, weak.has(x509)))
  const read = lists.map((der, index) => readList(der, index, lists.length))
  checkNames(authorities)
  const trust = { authorities: trusted, lists: distinct(read) }
  checkLists(trust)
  for (const [index, list] of read.entries()) checkSignature(list, trusted, index, lists.length)
  return trust
}

/** @throws TrustProblem for a list that its authority has not signed. */
function checkSignature(list: TrustedList, authorities: readonly Authority[], index: number, total: number): void {
  const authority = authorities.find(candidate => isListOf(list, candidate) && candidate.flaw === undefined)
  if (authority === undefined || verifyListSignature(list.signature, authority.x509.publicKey) !== 'invalid') return
  const found = `revocation list ${index + 1} of ${total} is not signed by the key of ${authority.subjectText}`
  throw new TrustProblem('lists', `${found}, whose clients OpenSSL would all refuse; fetch it again`, index)
}

/**
 * Octets of the names of all authorities. OpenSSL sends them with each request for a certificate, whose extensions have 65 535
 * together (RFC 8446 §4.3.2); with more, it fails every handshake.
 */
const mostNameOctets = 65_000

/** @throws TrustProblem for names with which every handshake would fail. */
function checkNames(authorities: readonly X509Certificate[]): void {
  const lengths = 6 // of a name, at most: its own, and that of the list entry
  const octets = authorities.reduce((sum, { raw }) => sum + readFields(raw).subject.content.length + lengths, 0)
  if (octets > mostNameOctets)
    throw new TrustProblem(
      'authorities',
      `the subjects of all authorities take ${octets} octets, a TLS handshake has room for ${mostNameOctets}; leave out ` +
        'authorities that issue no certificates of clients',
    )
}

/**
 * Whether two loads trust the same: the same certificates and lists, whatever text surrounds them. The order of authorities
 * matters only among those of one name, of which OpenSSL tries the first.
 */
export function isSameTrust(one: Trust, other: Trust): boolean {
  const identify = ({ authorities, lists }: Trust) => {
    const byName = authorities.toSorted((a, b) => (a.subject < b.subject ? -1 : Number(a.subject > b.subject)))
    return [...byName.map(({ x509 }) => x509.fingerprint256), ...lists.map(({ digest }) => digest).sort()].join()
  }
  return identify(one) === identify(other)
}

/** When the next authority or list ends, in milliseconds since 1970: OpenSSL's verdicts change then. undefined: none does. */
export function nextEndOf({ authorities, lists }: Trust, now: number): number | undefined {
  const ends = [...authorities.map(({ notAfter }) => notAfter), ...lists.map(({ nextUpdate }) => nextUpdate)]
  const ahead = ends.filter(end => end !== undefined && end > now)
  return ahead.length === 0 ? undefined : Math.min(...(ahead as number[]))
}

/**
 * The entry of a client certificate in a list that is in force for it, as OpenSSL would find it. undefined: there is none.
 * @throws RangeError when the certificate is not the DER that we can read.
 */
export function findRevocation({ lists }: Trust, certificate: Buffer, now: number): RevokedEntry | undefined {
  const fields = readFields(certificate)
  for (const list of lists) {
    const entry = list.find(fields.serial)
    if (entry !== undefined && isInForce(list, now) && isForClient(list, fields)) return entry
  }
  return undefined
}

/** Whether a list has begun and not ended. OpenSSL takes a list without end for one that does not end. */
export function isInForce({ thisUpdate, nextUpdate }: TrustedList, now: number): boolean {
  return thisUpdate <= now && (nextUpdate === undefined || now < nextUpdate)
}

/** Whether OpenSSL takes a list for one of this authority: by its name, and by the key that the list names, if it names one. */
export function isListOf(list: TrustedList, authority: CertificateFacts): boolean {
  return list.issuerName === authority.subject && matchesKey(list.authorityKey, authority)
}

/** Whether OpenSSL takes `issuer` for a possible issuer of `certificate`, before it looks at the signature. */
export function isIssuerOf(issuer: CertificateFacts, certificate: CertificateFacts): boolean {
  return certificate.issuer === issuer.subject && matchesKey(certificate.authorityKey, issuer)
}

/** Whether a list is for a certificate that names these distribution points. */
export function isInScope(
  { scope }: TrustedList,
  certificates: 'clients' | 'authorities',
  distributionPoints: readonly string[],
): boolean {
  const isOfKind = scope.certificates === 'all' || scope.certificates === certificates
  return isOfKind && (scope.uris.length === 0 || scope.uris.some(uri => distributionPoints.includes(uri)))
}

/** Reads what is compared of a certificate. @throws RangeError when it is not the DER that we can read. */
export function readCertificateFacts(x509: X509Certificate): CertificateFacts {
  const fields = readFields(x509.raw)
  return {
    subject: readCanonicalName(fields.subject),
    issuer: readCanonicalName(fields.issuer),
    subjectText: formatName(fields.subject),
    issuerText: formatName(fields.issuer),
    serial: fields.serial,
    subjectKeyIdentifier: readSubjectKeyIdentifier(fields),
    authorityKey: readAuthorityKey(fields),
    distributionPoints: readDistributionPoints(fields),
    keyUsage: readKeyUsage(fields),
    purposes: x509.keyUsage, // which Node calls so
    publicKey: fields.publicKey,
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
  }
}

function readAuthority(x509: X509Certificate, index: number, total: number, isWeak: boolean): Authority {
  const fail = (found: string) => {
    const message = `authority ${index + 1} of ${total} ${found}; ask for it again where it was issued`
    return new TrustProblem('authorities', message, index)
  }
  try {
    const fields = readFields(x509.raw)
    if (fields.validity.length !== 2 || fields.validity.some(time => readTime(time) === undefined))
      throw fail('is valid from or to a date that is none of RFC 5280, so that OpenSSL would refuse its clients')
    const facts = readCertificateFacts(x509)
    const pathLength = readBasicConstraints(fields)?.pathLength
    const isRoot = isIssuerOf(facts, facts)
    const incapacity = findAuthorityFlaw(x509, fields, isRoot)
    const isTooWeak = isWeak || (!isRoot && hasWeakSignature(x509))
    const flaw = findKeyFlaw(x509, fields) ?? (isTooWeak ? weakness : findExtensionFlaw(fields))
    // OpenSSL compares the algorithm of the signature with the key; it also asks whether the key may sign certificates.
    const isForeign = isRoot && incapacity === undefined && !x509.checkIssued(x509)
    return { ...facts, x509, pathLength, flaw: flaw ?? (isForeign ? foreignSignature : undefined), incapacity }
  } catch (error) {
    if (error instanceof TrustProblem) throw error
    throw fail('is not a certificate in DER that can be read')
  }
}

const foreignSignature =
  'is not self-signed as OpenSSL reads it: its signature is of no algorithm of its key, or an extension is malformed; replace it'

function readList(der: Buffer, index: number, total: number): TrustedList {
  const fail = (found: string) => new TrustProblem('lists', `revocation list ${index + 1} of ${total} ${found}`, index)
  try {
    const list = parseRevocationList(der)
    return {
      ...list,
      issuerName: readCanonicalName(list.issuer),
      issuerText: formatName(list.issuer),
      digest: hash('sha256', der, 'hex'),
    }
  } catch (error) {
    if (error instanceof UnusableListError) throw fail(error.message)
    throw fail('is not a revocation list in DER that can be read; fetch it again')
  }
}

/** OpenSSL takes a list that it has already for the same one. */
function distinct(lists: readonly TrustedList[]): TrustedList[] {
  return [...new Map(lists.map(list => [list.digest, list])).values()]
}

/** @throws TrustProblem for lists of which OpenSSL would look at one only, or at the wrong one. */
function checkLists({ authorities, lists }: Trust): void {
  for (const [index, list] of lists.entries()) {
    const other = lists.slice(index + 1).find(candidate => isRival(list, candidate, authorities))
    if (other !== undefined)
      throw new TrustProblem(
        'lists',
        `there are two revocation lists of ${list.issuerText} for the same certificates (${describeNumber(list)} and ` +
          `${describeNumber(other)}), of which OpenSSL looks at one only; keep the newer one`,
      )
    const [first, ...others] = authorities.filter(authority => isListOf(list, authority))
    if (others.some(({ publicKey }) => first?.publicKey.equals(publicKey) !== true))
      throw new TrustProblem(
        'lists',
        `there are two authorities named ${list.issuerText} with different keys, and the revocation list ` +
          `${describeNumber(list)} does not say of which it is; use a list with an authorityKeyIdentifier, and ` +
          'certificates of the authorities with a subjectKeyIdentifier',
      )
  }
}

function describeNumber({ number }: TrustedList): string {
  return number === undefined ? 'without a number' : `number 0x${number}`
}

/** Whether there may be a certificate for which OpenSSL has to choose between two lists. */
function isRival(one: TrustedList, other: TrustedList, authorities: readonly Authority[]): boolean {
  if (one.issuerName !== other.issuerName || !isOverlapping(one.scope, other.scope)) return false
  if (!isOtherKey(one.authorityKey, other.authorityKey)) return true
  return authorities.some(authority => isListOf(one, authority) && isListOf(other, authority))
}

/** Whether no authority can be named by both. */
function isOtherKey(one: AuthorityKey | undefined, other: AuthorityKey | undefined): boolean {
  const differ = (a: Buffer | undefined, b: Buffer | undefined) => a !== undefined && b !== undefined && !a.equals(b)
  return differ(one?.identifier, other?.identifier) || differ(one?.serial, other?.serial)
}

/** As OpenSSL compares them (X509_check_akid): what is not said on one of the sides does not differ. */
function matchesKey(key: AuthorityKey | undefined, authority: CertificateFacts): boolean {
  if (key === undefined) return true
  const { identifier, issuer, serial } = key
  const { subjectKeyIdentifier: own } = authority
  if (identifier !== undefined && own !== undefined && !identifier.equals(own)) return false
  if (serial !== undefined && !serial.equals(authority.serial)) return false
  return issuer === undefined || readCanonicalName(issuer) === authority.issuer
}

function isForClient(list: TrustedList, fields: CertificateFields): boolean {
  if (readCanonicalName(fields.issuer) !== list.issuerName) return false
  const isOfOtherKey = isOtherKey(list.authorityKey, readAuthorityKey(fields))
  return !isOfOtherKey && isInScope(list, 'clients', readDistributionPoints(fields))
}
