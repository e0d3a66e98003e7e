// Explains why OpenSSL rejected a client certificate: combines its last error, which hides earlier ones, with the contents of the
// certificate, the authorities and the lists. Runs once per rejected handshake, and never rejects a certificate itself.
import type { X509Certificate } from 'node:crypto'
import type { RefusalFacts } from '../core/details.ts'
import type { Why } from '../core/errors.ts'
import { readCertificate } from '../core/presenter.ts'
import { describeKey } from '../core/proof-algorithm.ts'
import {
  type CertificateFacts,
  clientAuth,
  findRevocation,
  isInForce,
  isInScope,
  isIssuerOf,
  isListOf,
  readCertificateFacts,
  type Trust,
  type TrustedList,
} from './trust.ts'

/** Why a presenter may not act: reason, detail and facts. */
export type CertificateRejection = Extract<
  Why,
  readonly ['no_certificate' | `certificate_${'untrusted' | 'expired' | 'revoked'}`, ...unknown[]]
>

export interface RefusedHandshake {
  readonly x509: X509Certificate
  /** Node's name for the last OpenSSL error; UNSPECIFIED if it has no name. undefined if OpenSSL accepted the certificate. */
  readonly code: string | undefined
  /** The error message of OpenSSL. */
  readonly message: string | undefined
  /** The first certificate that the client sent after its own; not verified. */
  readonly sent: X509Certificate | undefined
  readonly trust: Trust
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Explains why a certificate was rejected: reason, detail, and the compared facts. Never throws. */
export function explainCertificate(handshake: RefusedHandshake): CertificateRejection {
  const { x509, code, message } = handshake
  const facts = { ...describeCertificate(x509), code: code === 'UNSPECIFIED' ? message : code }
  try {
    const [reason, detail, more] = findCause(handshake, readCertificateFacts(x509))
    return [reason, detail, { ...facts, ...more }] as CertificateRejection
  } catch {
    // Only OpenSSL can parse this DER, so only its code is known.
    if (code === 'CERT_REVOKED') return ['certificate_revoked', 'listed', facts]
    if (code === 'CERT_HAS_EXPIRED') return ['certificate_expired', 'ended', facts]
    if (code === 'CERT_NOT_YET_VALID') return ['certificate_expired', 'not_yet_valid', facts]
    return ['certificate_untrusted', 'malformed', facts]
  }
}

/** Returns the names, serial number and thumbprint of a certificate, as far as they can be parsed. Never throws. */
export function describeCertificate(x509: X509Certificate): RefusalFacts {
  const read = <T>(member: () => T): T | undefined => {
    try {
      return member()
    } catch {
      return undefined
    }
  }
  const facts = read(() => readCertificateFacts(x509))
  return {
    subject: facts?.subjectText ?? read(() => x509.subject?.replaceAll('\n', ', ')),
    issuer: facts?.issuerText ?? read(() => x509.issuer?.replaceAll('\n', ', ')),
    serial: read(() => x509.serialNumber.toLowerCase()),
    thumbprint: read(() => readCertificate(x509).thumbprint),
  }
}

function findCause(handshake: RefusedHandshake, leaf: CertificateFacts): CertificateRejection {
  const { code, trust, now, x509 } = handshake
  if (code === 'CERT_REVOKED') return explainRevocation(x509, trust, now) ?? explainRevokedAuthority(handshake)
  const second = Math.floor(now / 1000) * 1000 // for OpenSSL, the last second is already after the end
  if (code === 'CERT_HAS_EXPIRED' && second >= leaf.notAfter)
    return ['certificate_expired', 'ended', { found: leaf.notAfter / 1000, now: second / 1000 }]
  if (code === 'CERT_NOT_YET_VALID' && second < leaf.notBefore)
    return ['certificate_expired', 'not_yet_valid', { found: leaf.notBefore / 1000, now: second / 1000 }]

  const sent = handshake.sent && readCertificateFacts(handshake.sent)
  const chain = assembleChain(leaf, sent, trust)
  if (isChainProblem(code)) {
    const problem = explainChain(leaf, sent, chain, handshake)
    if (problem !== undefined) return ['certificate_untrusted', ...problem]
  }
  const about = (authority: CertificateFacts | undefined) => ({ authority: authority?.subjectText })
  const authorities = chain.slice(1)
  switch (code) {
    case undefined:
      return ['certificate_untrusted', leaf.purposes === undefined ? 'usage_missing' : 'usage_not_client']
    case 'CERT_HAS_EXPIRED': {
      const authority = authorities.find(({ notAfter }) => notAfter <= second)
      const found = authority && authority.notAfter / 1000
      return ['certificate_untrusted', 'authority_ended', { ...about(authority), found, now: second / 1000 }]
    }
    case 'CERT_NOT_YET_VALID': {
      const authority = authorities.find(({ notBefore }) => notBefore > second)
      const found = authority && authority.notBefore / 1000
      return ['certificate_untrusted', 'authority_not_yet_valid', { ...about(authority), found, now: second / 1000 }]
    }
    case 'INVALID_PURPOSE': {
      if (leaf.purposes?.includes(clientAuth) === false) return ['certificate_untrusted', 'usage_not_client']
      const { keyUsage } = leaf
      if (keyUsage !== undefined && !keyUsage.digitalSignature && !keyUsage.keyAgreement)
        return ['certificate_untrusted', 'key_usage']
      const authority = authorities.find(({ purposes }) => purposes?.includes(clientAuth) === false)
      return ['certificate_untrusted', 'authority_usage', about(authority)]
    }
    case 'CERT_SIGNATURE_FAILURE': {
      const names = trust.authorities.filter(({ subject }) => subject === leaf.issuer)
      const facts = { authority: leaf.issuerText }
      if (names.length <= 1) return ['certificate_untrusted', 'signature', facts]
      return ['certificate_untrusted', 'same_name', { ...facts, ...describeKeys(leaf, names) }]
    }
    case 'PATH_LENGTH_EXCEEDED':
      return ['certificate_untrusted', 'authority_constraints']
    case 'INVALID_CA':
      return ['certificate_untrusted', 'authority_key_usage', about(authorities[0])]
    case 'UNABLE_TO_GET_CRL':
      return ['certificate_untrusted', ...explainLists(chain, trust)]
    case 'CRL_HAS_EXPIRED':
      return [
        'certificate_untrusted',
        'list_ended',
        describeList(findLists(chain, trust).find(list => isEnded(list, now))),
      ]
    case 'CRL_NOT_YET_VALID': {
      const list = findLists(chain, trust).find(({ thisUpdate }) => thisUpdate > now)
      return ['certificate_untrusted', 'list_not_yet_valid', describeList(list)]
    }
    case 'CRL_SIGNATURE_FAILURE':
    case 'UNABLE_TO_DECRYPT_CRL_SIGNATURE':
      return ['certificate_untrusted', 'list_signature', describeList(findLists(chain, trust)[0])]
    case 'ERROR_IN_CERT_NOT_BEFORE_FIELD':
    case 'ERROR_IN_CERT_NOT_AFTER_FIELD':
      return ['certificate_untrusted', 'malformed']
    default:
      return ['certificate_untrusted', ...explainMessage(handshake.message ?? '', x509, chain, trust)]
  }
}

type Cause =
  Extract<CertificateRejection, readonly ['certificate_untrusted', ...unknown[]]> extends readonly [
    unknown,
    ...infer Rest,
  ]
    ? Rest
    : never

/** Uses the message of OpenSSL (X509_verify_cert_error_string) for errors without a code in Node. */
function explainMessage(
  message: string,
  x509: X509Certificate,
  chain: readonly CertificateFacts[],
  trust: Trust,
): Cause {
  const { signatureAlgorithm } = x509
  if (message.startsWith('EE certificate key too weak')) return ['key_too_weak', { found: describeKeyOf(x509) }]
  if (message.startsWith('CA certificate key too weak')) return ['authority_too_weak']
  if (/digest algorithm too weak/.test(message))
    return /sha-?1|md5/i.test(signatureAlgorithm ?? '')
      ? ['signature_too_weak', { alg: signatureAlgorithm }]
      : ['authority_too_weak']
  if (/critical extension/.test(message)) return ['critical_extension']
  if (/does not include CRL signing/.test(message)) {
    const signer = chain.find(({ keyUsage }, index) => index > 0 && keyUsage?.cRLSign === false)
    return ['list_signature', { authority: signer?.subjectText }]
  }
  if (/does not include certificate signing|invalid CA/.test(message)) {
    const issuer = chain.find(({ keyUsage }, index) => index > 0 && keyUsage?.keyCertSign === false)
    return ['authority_key_usage', { authority: issuer?.subjectText }]
  }
  if (/subtree violation|name constraint|path length/.test(message)) return ['authority_constraints']
  if (/CRL scope/.test(message)) return explainLists(chain, trust)
  return ['not_verified']
}

/** Describes the key of a certificate; undefined if only OpenSSL can parse it. */
function describeKeyOf(x509: X509Certificate): string | undefined {
  try {
    return describeKey(x509.publicKey)
  } catch {
    return undefined
  }
}

/**
 * Returns the rejection of a certificate that a current list revokes; undefined if no list does.
 * @throws RangeError if the DER of the certificate cannot be parsed here.
 */
export function explainRevocation(x509: X509Certificate, trust: Trust, now: number): CertificateRejection | undefined {
  const entry = findRevocation(trust, x509.raw, now)
  if (entry === undefined) return undefined
  const date = entry.revokedAt === undefined ? 'on an invalid date' : new Date(entry.revokedAt).toISOString()
  const found = [date, entry.reason].filter(part => part !== undefined).join(' ')
  return ['certificate_revoked', 'listed', { ...describeCertificate(x509), found }]
}

function explainRevokedAuthority({ trust, sent }: RefusedHandshake): CertificateRejection {
  const between = sent === undefined ? [] : [readCertificateFacts(sent)]
  const revoked = [...between, ...trust.authorities].find(authority =>
    trust.lists.some(list => list.issuerName === authority.issuer && list.find(authority.serial) !== undefined),
  )
  return ['certificate_revoked', 'authority_listed', { authority: revoked?.subjectText }]
}

/** Returns whether the error may hide a missing issuer: OpenSSL continues after that error, and checks lists of the rest. */
function isChainProblem(code: string | undefined): boolean {
  return code !== undefined && chainCodes.has(code)
}

const chainCodes: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_CRL',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
])

/**
 * Assembles the probable chain of OpenSSL: the certificate and its issuers, from the sent certificate and the trusted authorities.
 * Compares only names and key identifiers.
 */
function assembleChain(leaf: CertificateFacts, sent: CertificateFacts | undefined, trust: Trust): CertificateFacts[] {
  const pool = sent === undefined ? trust.authorities : [...trust.authorities, sent]
  const chain = [leaf]
  for (;;) {
    const last = chain.at(-1) as CertificateFacts
    const issuer = pool.find(candidate => !chain.includes(candidate) && isIssuerOf(candidate, last))
    if (issuer === undefined || isIssuerOf(last, last)) return chain
    chain.push(issuer)
  }
}

function explainChain(
  leaf: CertificateFacts,
  sent: CertificateFacts | undefined,
  chain: readonly CertificateFacts[],
  { code, trust }: RefusedHandshake,
): Cause | undefined {
  const isTrusted = (certificate: CertificateFacts) => trust.authorities.some(authority => authority === certificate)
  const last = chain.at(-1) as CertificateFacts
  if (isTrusted(last) && isIssuerOf(last, last)) return undefined // ends at a trusted root
  if (isIssuerOf(leaf, leaf)) return ['self_signed']
  const facts = { sent: sent?.subjectText }
  const names = trust.authorities.filter(({ subject }) => subject === last.issuer)
  if (names.length > 0) return ['same_name', { ...facts, authority: last.issuerText, ...describeKeys(last, names) }]
  if (isTrusted(last)) return ['chain_incomplete', { ...facts, authority: last.subjectText }]
  if (code === 'SELF_SIGNED_CERT_IN_CHAIN' || isIssuerOf(last, last))
    return ['authority_unknown', { ...facts, authority: last.issuerText }]
  return ['issuer_unknown', { ...facts, authority: last.issuerText }]
}

/** Describes the key identifier of a certificate's issuer, and those of the trusted authorities with the name of that issuer. */
function describeKeys({ authorityKey }: CertificateFacts, names: readonly CertificateFacts[]): RefusalFacts {
  const describe = (identifier: Buffer | undefined) => identifier?.toString('hex') ?? 'absent'
  const expected = names.map(({ subjectKeyIdentifier }) => describe(subjectKeyIdentifier)).join(' ')
  return { found: describe(authorityKey?.identifier), expected }
}

/** Finds the certificate in the chain that has no list, and why. */
function explainLists(chain: readonly CertificateFacts[], trust: Trust): Cause {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? certificate // a root is on its own list
    const lists = trust.lists.filter(list => isListOf(list, issuer))
    if (lists.length === 0) return ['list_missing', { authority: issuer.subjectText }]
    const kind = index === 0 ? 'clients' : 'authorities'
    if (!lists.some(list => isInScope(list, kind, certificate.distributionPoints)))
      return ['list_scope', { ...describeList(lists[0]), found: certificate.subjectText }]
  }
  return ['list_missing', { authority: chain[1]?.subjectText }]
}

/** Returns the lists of the authorities in a chain. */
function findLists(chain: readonly CertificateFacts[], { lists }: Trust): TrustedList[] {
  return chain.flatMap((_certificate, index) => {
    const issuer = chain[index + 1] ?? chain[index]
    return issuer === undefined ? [] : lists.filter(list => isListOf(list, issuer))
  })
}

function isEnded(list: TrustedList, now: number): boolean {
  return list.thisUpdate <= now && !isInForce(list, now)
}

function describeList(list: TrustedList | undefined): RefusalFacts {
  if (list === undefined) return {}
  const { issuerText, number, nextUpdate, scope } = list
  const parts = [
    issuerText,
    number !== undefined && `number 0x${number}`,
    nextUpdate !== undefined && `ends ${new Date(nextUpdate).toISOString()}`,
    scope.certificates !== 'all' && `for ${scope.certificates} only`,
    scope.uris.length > 0 && `for distribution point ${scope.uris.join(' ')} only`,
  ]
  return { authority: issuerText, list: parts.filter(Boolean).join(', ') }
}
