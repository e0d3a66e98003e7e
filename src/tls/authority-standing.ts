// Checks whether clients of each authority can be accepted: dates, keys, usages, names, signatures between authorities, and
// revocation lists. For the log and metrics, and to reject files with which no client could be accepted. OpenSSL still decides in
// each handshake.
import type { X509Certificate } from 'node:crypto'
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
  type TrustedList,
  TrustProblem,
} from './trust.ts'

export interface Standing {
  readonly authority: Authority
  /** Why none of its clients can be accepted, with a remedy; undefined if no problem is known. */
  readonly problem: string | undefined
  /** Why some of its clients cannot be accepted. */
  readonly warning: string | undefined
}

/**
 * Assesses for each authority whether its clients can be accepted at `now`, in milliseconds since 1970; without `now`, whether they
 * can be accepted at any time.
 */
export function assessAuthorities(trust: Trust, now?: number): Standing[] {
  const assessor = createAssessor(trust, now)
  return trust.authorities.map(authority => {
    // An authority that issues other authorities may have no clients of its own.
    const isParent = trust.authorities.some(child => child !== authority && isIssuerOf(authority, child))
    const problem = assessor.findProblem(authority, isParent ? authority : undefined)
    return { authority, problem, warning: problem === undefined ? assessor.findWarning(authority) : undefined }
  })
}

/**
 * Finds why OpenSSL would reject a client certificate at `now`, for the authorities with the name of its issuer. Returns undefined
 * if no problem is known.
 */
export function findClientProblem(x509: X509Certificate, trust: Trust, now: number): string | undefined {
  const facts = readCertificateFacts(x509)
  const assessor = createAssessor(trust, now)
  const problems = trust.authorities
    .filter(authority => isIssuerOf(authority, facts))
    .map(issuer => findSignatureProblem(issuer, { ...facts, x509 }) ?? assessor.findProblem(issuer))
  return problems.includes(undefined) ? undefined : problems[0]
}

/**
 * Finds why OpenSSL would reject every client of an authority at `now`: the authority itself, its lists, or what is above it. Does not
 * decide whether it may issue at all (`incapacity`).
 */
export function findIssuerProblem(issuer: Authority, trust: Trust, now: number): string | undefined {
  return createAssessor(trust, now).findProblem(issuer)
}

/** @throws TrustProblem if no client could be accepted at any time. */
export function requireAnyAuthority(trust: Trust): void {
  const problems = assessAuthorities(trust).map(({ problem }) => problem)
  if (problems.includes(undefined)) return
  throw new TrustProblem('authorities', `no client could be accepted: ${[...new Set(problems)].join(', and ')}`)
}

/** Returns whether clients of any authority can be accepted. */
export function acceptsAnyone(trust: Trust, now: number): boolean {
  return assessAuthorities(trust, now).some(({ problem }) => problem === undefined)
}

function createAssessor({ authorities, lists }: Trust, now: number | undefined) {
  const hasLists = lists.length > 0

  /** Finds why an authority cannot issue: certificates for clients, or the certificate of the authority `below`. */
  function findProblem(
    authority: Authority,
    below?: CertificateFacts,
    visited: readonly Authority[] = [],
  ): string | undefined {
    const kind = below === undefined ? 'clients' : 'authorities'
    return (
      findOwnProblem(authority, now) ??
      findLengthProblem(authority, visited) ??
      (hasLists ? findListProblem(authority, kind, below?.distributionPoints) : undefined) ??
      findProblemAbove(authority, [...visited, authority])
    )
  }

  function findProblemAbove(authority: Authority, visited: readonly Authority[]): string | undefined {
    if (isIssuerOf(authority, authority)) return hasLists ? findProblemOnList(authority, authority) : undefined // a root is on its own list
    const issuers = authorities.filter(issuer => !visited.includes(issuer) && isIssuerOf(issuer, authority))
    const problems = issuers.map(
      issuer =>
        findSignatureProblem(issuer, authority) ??
        findProblemOnList(issuer, authority) ??
        findProblem(issuer, authority, visited),
    )
    if (problems.includes(undefined)) return undefined
    return problems[0] ?? `its issuer ${authority.issuerText} is missing; add it, up to the self-signed root`
  }

  function findProblemOnList(issuer: Authority, certificate: Authority): string | undefined {
    const own = lists.filter(list => isListOf(list, issuer) && (now === undefined || isInForce(list, now)))
    const isListed = own.some(list => list.find(certificate.serial) !== undefined)
    if (isListed)
      return `the revocation list of ${issuer.subjectText} contains ${certificate.subjectText}; remove that authority`
    return issuer === certificate ? findListProblem(issuer, 'authorities', issuer.distributionPoints) : undefined
  }

  /** `distributionPoints` are those of the certificate; undefined for clients, because they are unknown. */
  function findListProblem(
    authority: Authority,
    kind: 'clients' | 'authorities',
    distributionPoints: readonly string[] | undefined,
  ): string | undefined {
    const name = authority.subjectText
    const own = lists.filter(list => isListOf(list, authority))
    if (own.length === 0) return `there is no revocation list of ${name}; add it`
    const forThese = own.filter(list => isInScope(list, kind, distributionPoints ?? list.scope.uris))
    if (forThese.length === 0) {
      const missing = kind === 'clients' ? 'certificates of clients' : 'the certificates of authorities'
      return `the scope of the revocation list of ${name} excludes ${missing}; add the list for these`
    }
    if (authority.keyUsage?.cRLSign === false) return `${name} may not sign revocation lists (keyUsage); replace it`
    if (now === undefined || forThese.some(list => isInForce(list, now))) return undefined
    const [list] = forThese as [TrustedList]
    if (list.thisUpdate > now)
      return `the revocation list of ${name} is not valid before ${dateOf(list.thisUpdate)}; compare the clocks`
    return `the revocation list of ${name} expired on ${dateOf(list.nextUpdate as number)}; fetch the current one`
  }

  function findWarning(authority: Authority): string | undefined {
    if (authority.incapacity !== undefined)
      return `${authority.subjectText} is accepted only as a client: it ${authority.incapacity}`
    const own = lists.filter(list => isListOf(list, authority) && list.scope.certificates !== 'authorities')
    if (own.length === 0 || own.some(({ scope }) => scope.uris.length === 0)) return undefined
    const uris = own.flatMap(({ scope }) => scope.uris).join(' ')
    return `clients of ${authority.subjectText} are rejected unless their certificate contains a distribution point of its lists (${uris})`
  }

  return { findProblem, findWarning }
}

function findOwnProblem(authority: Authority, now: number | undefined): string | undefined {
  const { subjectText: name, notBefore, notAfter, purposes } = authority
  if (now !== undefined && notAfter <= now)
    return `the certificate of ${name} expired on ${dateOf(notAfter)}; replace it`
  if (now !== undefined && notBefore > now)
    return `the certificate of ${name} is not valid before ${dateOf(notBefore)}; compare the clocks`
  if (purposes?.includes(clientAuth) === false)
    return `${name} may not issue client certificates (extendedKeyUsage without clientAuth); replace it`
  const flaw = authority.flaw ?? (isClient(authority) ? undefined : authority.incapacity)
  return flaw && `${name} ${flaw}`
}

/** Returns whether this may be a self-signed client certificate, which OpenSSL accepts if it is trusted. */
function isClient(authority: Authority): boolean {
  const { purposes, keyUsage } = authority
  const isUsable = purposes?.includes(clientAuth) === true && keyUsage?.digitalSignature !== false
  return isUsable && isIssuerOf(authority, authority)
}

/** `below`: the authorities between this one and a client certificate. */
function findLengthProblem({ subjectText, pathLength }: Authority, below: readonly Authority[]): string | undefined {
  const { length } = below.filter(({ subject, issuer }) => subject !== issuer)
  if (pathLength === undefined || length <= pathLength) return undefined
  return `${subjectText} allows ${pathLength} authorities below it (pathLenConstraint), and there are ${length}; replace it`
}

type Issued = Pick<Authority, 'x509' | 'subjectText'>

/** Finds why OpenSSL would not accept an authority as the issuer of a certificate, although the names match. */
function findSignatureProblem(issuer: Authority, issued: Issued): string | undefined {
  const [name, by] = [issued.subjectText, issuer.subjectText]
  const { isSigned, isIssued } = compare(issued.x509, issuer.x509)
  if (!isSigned) return `the certificate of ${name} is not signed by the key of ${by}; replace one of them`
  if (isIssued || issuer.incapacity !== undefined) return undefined
  return `OpenSSL does not accept ${by} as the issuer of ${name}: an extension of one of them is malformed; replace it`
}

interface Comparison {
  readonly isSigned: boolean
  readonly isIssued: boolean
}

/** Cached comparisons, because metrics request the standings every few seconds. */
const compared = new WeakMap<X509Certificate, WeakMap<X509Certificate, Comparison>>()

function compare(certificate: X509Certificate, issuer: X509Certificate): Comparison {
  const known = compared.get(certificate) ?? new WeakMap<X509Certificate, Comparison>()
  compared.set(certificate, known)
  const comparison = known.get(issuer) ?? {
    isSigned: verifySignature(certificate, issuer),
    isIssued: certificate.checkIssued(issuer),
  }
  known.set(issuer, comparison)
  return comparison
}

function verifySignature(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey)
  } catch {
    return false // a key that OpenSSL cannot read
  }
}

function dateOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
