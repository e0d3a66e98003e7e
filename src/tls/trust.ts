// The authorities and revocation lists of a listener. OpenSSL decides in each handshake which certificates are trusted. This file
// only ensures that OpenSSL gets exactly these files, and rejects lists that OpenSSL would not apply as intended. It does not build
// or verify chains.
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
  readPurposes,
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

/** The loaded authorities and lists. Loading other ones creates a new object. */
export interface Trust {
  readonly authorities: readonly Authority[]
  readonly lists: readonly TrustedList[]
}

/** The fields that identify a certificate, its issuer and its key. */
export interface CertificateFacts {
  readonly subject: CanonicalName
  readonly issuer: CanonicalName
  /** Both in the format of RFC 4514. */
  readonly subjectText: string
  readonly issuerText: string
  readonly serial: Buffer
  readonly subjectKeyIdentifier: Buffer | undefined
  readonly authorityKey: AuthorityKey | undefined
  readonly distributionPoints: readonly string[]
  readonly keyUsage: ReturnType<typeof readKeyUsage>
  /** Object identifiers of the extended key usage; undefined without the extension. */
  readonly purposes: readonly string[] | undefined
  /** Content of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface Authority extends CertificateFacts {
  readonly x509: X509Certificate
  /** The maximum number of authorities between this one and a client (RFC 5280 §4.2.1.9); undefined: no limit. */
  readonly pathLength: number | undefined
  /** Why OpenSSL rejects it in every chain, with a remedy; completes "the certificate …". */
  readonly flaw: string | undefined
  /** Why OpenSSL rejects all certificates that it issued; same form. */
  readonly incapacity: string | undefined
}

export interface TrustedList extends RevocationList {
  readonly issuerName: CanonicalName
  /** In the format of RFC 4514. */
  readonly issuerText: string
  /** SHA-256 of the DER. */
  readonly digest: string
}

/** An authority or a list that must not be used. The message contains its number in the file, and a remedy. */
export class TrustProblem extends Error {
  override readonly name = 'TrustProblem'
  readonly of: 'authorities' | 'lists'
  /** The index, from 0; undefined if several are affected. */
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
 * Parses authorities, and revocation lists in DER.
 * @throws TrustProblem if one of them must not be used.
 */
export function loadTrust(authorities: readonly X509Certificate[], lists: readonly Buffer[]): Trust {
  const weak = new Set(findWeak(authorities))
  const trusted = authorities.map((x509, index) => readAuthority(x509, index, authorities.length, weak.has(x509)))
  const read = lists.map((der, index) => readList(der, index, lists.length))
  checkNames(authorities)
  const trust = { authorities: trusted, lists: distinct(read) }
  checkLists(trust)
  for (const [index, list] of read.entries()) checkSignature(list, trusted, index, lists.length)
  if (lists.length > 0) recent = trust.lists.map(list => new WeakRef(list))
  return trust
}

/** The lists of the last loads. A file is parsed and checked first, and then loaded by the listener: once is enough. */
let recent: readonly WeakRef<TrustedList>[] = []

/** The fingerprint of the authority that has signed a list. */
const signers = new WeakMap<TrustedList, string>()

/** @throws TrustProblem if the authority did not sign the list. */
function checkSignature(list: TrustedList, authorities: readonly Authority[], index: number, total: number): void {
  const authority = authorities.find(candidate => isListOf(list, candidate) && candidate.flaw === undefined)
  if (authority === undefined || signers.get(list) === authority.x509.fingerprint256) return
  const verdict = verifyListSignature(list.signature, authority.x509.publicKey)
  if (verdict === 'valid') signers.set(list, authority.x509.fingerprint256)
  if (verdict !== 'invalid') return
  const found = `revocation list ${index + 1} of ${total} is not signed by the key of ${authority.subjectText}`
  throw new TrustProblem('lists', `${found}; OpenSSL would reject all its clients; fetch the list again`, index)
}

/**
 * The maximum size of the names of all authorities, in octets. OpenSSL sends them with each certificate request, whose extensions
 * are limited to 65 535 octets (RFC 8446 §4.3.2). With more, every handshake fails.
 */
const mostNameOctets = 65_000

/** @throws TrustProblem if every handshake would fail because the names are too long. */
function checkNames(authorities: readonly X509Certificate[]): void {
  const lengths = 6 // at most: the length of the name, and of its list entry
  const octets = authorities.reduce((sum, { raw }) => sum + readFields(raw).subject.content.length + lengths, 0)
  if (octets > mostNameOctets)
    throw new TrustProblem(
      'authorities',
      `the subjects of all authorities have ${octets} octets, but a TLS handshake has room for ${mostNameOctets}; remove ` +
        'authorities that issue no client certificates',
    )
}

/**
 * Returns whether two loads have the same certificates and lists. The order of authorities matters only among those with the same
 * name, of which OpenSSL uses the first.
 */
export function isSameTrust(one: Trust, other: Trust): boolean {
  const identify = ({ authorities, lists }: Trust) => {
    const byName = authorities.toSorted((a, b) => (a.subject < b.subject ? -1 : Number(a.subject > b.subject)))
    return [...byName.map(({ x509 }) => x509.fingerprint256), ...lists.map(({ digest }) => digest).sort()].join()
  }
  return identify(one) === identify(other)
}

/** Returns when the next authority or list expires, in milliseconds since 1970; undefined if none does. */
export function nextEndOf({ authorities, lists }: Trust, now: number): number | undefined {
  const ends = [...authorities.map(({ notAfter }) => notAfter), ...lists.map(({ nextUpdate }) => nextUpdate)]
  const ahead = ends.filter(end => end !== undefined && end > now)
  return ahead.length === 0 ? undefined : Math.min(...(ahead as number[]))
}

/**
 * Finds the entry of a client certificate in a current list, as OpenSSL would find it.
 * @throws RangeError if the DER of the certificate cannot be parsed here.
 */
export function findRevocation({ lists }: Trust, certificate: Buffer, now: number): RevokedEntry | undefined {
  const fields = readFields(certificate)
  for (const list of lists) {
    const entry = list.find(fields.serial)
    if (entry !== undefined && isInForce(list, now) && isForClient(list, fields)) return entry
  }
  return undefined
}

/** Returns whether a list is current. Without nextUpdate it never expires, as in OpenSSL. */
export function isInForce({ thisUpdate, nextUpdate }: TrustedList, now: number): boolean {
  return thisUpdate <= now && (nextUpdate === undefined || now < nextUpdate)
}

/** Returns whether OpenSSL uses a list for this authority: by name, and by the key identifier of the list, if any. */
export function isListOf(list: TrustedList, authority: CertificateFacts): boolean {
  return list.issuerName === authority.subject && matchesKey(list.authorityKey, authority)
}

/** Returns whether OpenSSL considers `issuer` a possible issuer of `certificate`, before it verifies the signature. */
export function isIssuerOf(issuer: CertificateFacts, certificate: CertificateFacts): boolean {
  return certificate.issuer === issuer.subject && matchesKey(certificate.authorityKey, issuer)
}

/** Returns whether a list covers a certificate with these distribution points. */
export function isInScope(
  { scope }: TrustedList,
  certificates: 'clients' | 'authorities',
  distributionPoints: readonly string[],
): boolean {
  const isOfKind = scope.certificates === 'all' || scope.certificates === certificates
  return isOfKind && (scope.uris.length === 0 || scope.uris.some(uri => distributionPoints.includes(uri)))
}

/** Extracts the compared fields of a certificate. @throws RangeError if its DER cannot be parsed here. */
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
    purposes: readPurposes(x509),
    publicKey: fields.publicKey,
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
  }
}

function readAuthority(x509: X509Certificate, index: number, total: number, isWeak: boolean): Authority {
  const fail = (found: string) => {
    const message = `authority ${index + 1} of ${total} ${found}; get it again from its issuer`
    return new TrustProblem('authorities', message, index)
  }
  try {
    const fields = readFields(x509.raw)
    if (fields.validity.length !== 2 || fields.validity.some(time => readTime(time) === undefined))
      throw fail('has a validity date that is not in the form of RFC 5280, so OpenSSL would reject its clients')
    const facts = readCertificateFacts(x509)
    const pathLength = readBasicConstraints(fields)?.pathLength
    const isRoot = isIssuerOf(facts, facts)
    const incapacity = findAuthorityFlaw(x509, fields, isRoot)
    const isTooWeak = isWeak || (!isRoot && hasWeakSignature(x509))
    const flaw = findKeyFlaw(x509, fields) ?? (isTooWeak ? weakness : findExtensionFlaw(fields))
    // OpenSSL compares the algorithm of the signature with the key, and checks whether the key may sign certificates.
    const isForeign = isRoot && incapacity === undefined && !x509.checkIssued(x509)
    return { ...facts, x509, pathLength, flaw: flaw ?? (isForeign ? foreignSignature : undefined), incapacity }
  } catch (error) {
    if (error instanceof TrustProblem) throw error
    throw fail('is not a certificate in valid DER')
  }
}

const foreignSignature =
  'is not self-signed for OpenSSL: the signature algorithm does not match its key, or an extension is malformed; replace it'

function readList(der: Buffer, index: number, total: number): TrustedList {
  const fail = (found: string) => new TrustProblem('lists', `revocation list ${index + 1} of ${total} ${found}`, index)
  try {
    const digest = hash('sha256', der, 'hex')
    const same = recent.map(known => known.deref()).find(known => known?.digest === digest)
    if (same !== undefined) return same
    const list = parseRevocationList(der)
    return { ...list, issuerName: readCanonicalName(list.issuer), issuerText: formatName(list.issuer), digest }
  } catch (error) {
    if (error instanceof UnusableListError) throw fail(error.message)
    throw fail('is not a revocation list in valid DER; fetch it again')
  }
}

/** Removes duplicate lists, which OpenSSL treats as one. */
function distinct(lists: readonly TrustedList[]): TrustedList[] {
  return [...new Map(lists.map(list => [list.digest, list])).values()]
}

/** @throws TrustProblem if OpenSSL would use only one of several lists, or the wrong one. */
function checkLists({ authorities, lists }: Trust): void {
  for (const [index, list] of lists.entries()) {
    const other = lists.slice(index + 1).find(candidate => isRival(list, candidate, authorities))
    if (other !== undefined)
      throw new TrustProblem(
        'lists',
        `there are two revocation lists of ${list.issuerText} for the same certificates (${describeNumber(list)} and ` +
          `${describeNumber(other)}), of which OpenSSL uses only one; keep the newer one`,
      )
    const [first, ...others] = authorities.filter(authority => isListOf(list, authority))
    if (others.some(({ publicKey }) => first?.publicKey.equals(publicKey) !== true))
      throw new TrustProblem(
        'lists',
        `there are two authorities named ${list.issuerText} with different keys, and the revocation list ` +
          `${describeNumber(list)} does not identify its key; use a list with an authorityKeyIdentifier, and ` +
          'certificates of the authorities with a subjectKeyIdentifier',
      )
  }
}

function describeNumber({ number }: TrustedList): string {
  return number === undefined ? 'without a number' : `number 0x${number}`
}

/** Returns whether a certificate may exist for which OpenSSL would choose between two lists. */
function isRival(one: TrustedList, other: TrustedList, authorities: readonly Authority[]): boolean {
  if (one.issuerName !== other.issuerName || !isOverlapping(one.scope, other.scope)) return false
  if (!isOtherKey(one.authorityKey, other.authorityKey)) return true
  return authorities.some(authority => isListOf(one, authority) && isListOf(other, authority))
}

/** Returns whether two key identifiers cannot belong to the same authority. */
function isOtherKey(one: AuthorityKey | undefined, other: AuthorityKey | undefined): boolean {
  const differ = (a: Buffer | undefined, b: Buffer | undefined) => a !== undefined && b !== undefined && !a.equals(b)
  return differ(one?.identifier, other?.identifier) || differ(one?.serial, other?.serial)
}

/** Compares as OpenSSL does (X509_check_akid): a field that is absent on one side matches. */
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
