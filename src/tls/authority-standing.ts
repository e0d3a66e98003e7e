// Whether clients of each authority can be accepted at all, by what is certain without any client: dates, usages, names and key
// identifiers, and whether a revocation list is in force. For the log, for metrics, and to refuse a reload that locks out every
// client. It overrules nothing: no signature is verified, and OpenSSL decides in each handshake.
import {
  type Authority,
  type CertificateFacts,
  clientAuth,
  isInForce,
  isInScope,
  isIssuerOf,
  isListOf,
  type Trust,
  type TrustedList,
} from './trust.ts'

export interface Standing {
  readonly authority: Authority
  /** Why none of its clients is accepted, and what to do; undefined: nothing is known against it. */
  readonly problem: string | undefined
  /** What keeps out some of its clients. */
  readonly warning: string | undefined
}

/** Finds for each authority whether its clients can be accepted at `now`, in milliseconds since 1970. */
export function assessAuthorities(trust: Trust, now: number): Standing[] {
  const assessor = createAssessor(trust, now)
  return trust.authorities.map(authority => {
    // Of one that issues other authorities nobody knows whether it has clients of its own.
    const isParent = trust.authorities.some(child => child !== authority && isIssuerOf(authority, child))
    const problem = assessor.findProblem(authority, isParent ? authority : undefined)
    return { authority, problem, warning: problem === undefined ? assessor.findWarning(authority) : undefined }
  })
}

/** Whether there is an authority whose clients can be accepted. */
export function acceptsAnyone(trust: Trust, now: number): boolean {
  return assessAuthorities(trust, now).some(({ problem }) => problem === undefined)
}

function createAssessor({ authorities, lists }: Trust, now: number) {
  const hasLists = lists.length > 0

  /** What keeps an authority from vouching: for clients, or for the authority `below`. */
  function findProblem(
    authority: Authority,
    below?: CertificateFacts,
    visited: readonly Authority[] = [],
  ): string | undefined {
    const kind = below === undefined ? 'clients' : 'authorities'
    return (
      findOwnProblem(authority, now) ??
      (hasLists ? findListProblem(authority, kind, below?.distributionPoints) : undefined) ??
      findProblemAbove(authority, [...visited, authority])
    )
  }

  function findProblemAbove(authority: Authority, visited: readonly Authority[]): string | undefined {
    if (isIssuerOf(authority, authority)) return hasLists ? findProblemOnList(authority, authority) : undefined // a root is on its own list
    const issuers = authorities.filter(issuer => !visited.includes(issuer) && isIssuerOf(issuer, authority))
    const problems = issuers.map(
      issuer => findProblemOnList(issuer, authority) ?? findProblem(issuer, authority, visited),
    )
    if (problems.includes(undefined)) return undefined
    return problems[0] ?? `its issuer ${authority.issuerText} is missing; add it, up to the self-signed root`
  }

  function findProblemOnList(issuer: Authority, certificate: Authority): string | undefined {
    const own = lists.filter(list => isListOf(list, issuer) && isInForce(list, now))
    const isListed = own.some(list => list.find(certificate.serial) !== undefined)
    if (isListed) return `the revocation list of ${issuer.subjectText} names ${certificate.subjectText}; remove it`
    return issuer === certificate ? findListProblem(issuer, 'authorities', issuer.distributionPoints) : undefined
  }

  /** `distributionPoints`: those of the certificate; undefined: of a client, so unknown. */
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
    if (forThese.some(list => isInForce(list, now))) return undefined
    const [list] = forThese as [TrustedList]
    if (list.thisUpdate > now)
      return `the revocation list of ${name} is not valid before ${dateOf(list.thisUpdate)}; compare the clocks`
    return `the revocation list of ${name} ended on ${dateOf(list.nextUpdate as number)}; fetch the current one`
  }

  function findWarning(authority: Authority): string | undefined {
    const own = lists.filter(list => isListOf(list, authority) && list.scope.certificates !== 'authorities')
    if (own.length === 0 || own.some(({ scope }) => scope.uris.length === 0)) return undefined
    const uris = own.flatMap(({ scope }) => scope.uris).join(' ')
    return `clients of ${authority.subjectText} are refused unless their certificate names a distribution point of its lists (${uris})`
  }

  return { findProblem, findWarning }
}

function findOwnProblem(authority: Authority, now: number): string | undefined {
  const { subjectText: name, notBefore, notAfter, purposes, keyUsage } = authority
  if (notAfter <= now) return `the certificate of ${name} ended on ${dateOf(notAfter)}; replace it`
  if (notBefore > now) return `the certificate of ${name} is not valid before ${dateOf(notBefore)}; compare the clocks`
  if (purposes?.includes(clientAuth) === false)
    return `${name} may not issue certificates of TLS clients (extendedKeyUsage without clientAuth); replace it`
  if (keyUsage?.keyCertSign === false && !isIssuerOf(authority, authority))
    return `${name} may not issue certificates (keyUsage without keyCertSign); it is no authority`
  return undefined
}

function dateOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
