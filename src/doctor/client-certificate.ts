// Explains why a handshake rejects a client certificate, as far as that is certain without its private key: by the
// server's rules for authorities, and by the client's intermediate certificates. Name and policy constraints are left
// to OpenSSL.
import type { X509Certificate } from 'node:crypto'
import { readFields, readKeyUsage } from '../core/certificate-fields.ts'
import { readTime } from '../core/certificate-time.ts'
import { describeKey, hasTlsSignature } from '../files/own-certificate.ts'
import { findClientProblem } from '../tls/authority-standing.ts'
import { findExtensionFlaw, findKeyFlaw, findWeak, hasWeakSignature, weakness } from '../tls/certificate-flaws.ts'
import { clientAuth, findRevocation, isIssuerOf, loadTrust, readCertificateFacts, type Trust } from '../tls/trust.ts'
import { type Finding, failure, splitRemedy, warning } from './finding.ts'

export interface ClientChain {
  readonly x509: X509Certificate
  /** The intermediate certificates that the client sends. */
  readonly sent: readonly X509Certificate[]
}

/**
 * Explains why OpenSSL rejects a certificate in every handshake, whatever client has it. `what` names it; `now` in
 * milliseconds since 1970.
 */
export function findRefusals(chain: ClientChain, what: string, trust: Trust, caFile: string, now: number): Finding[] {
  const { x509 } = chain
  const flaw = findFlaw(x509)
  if (flaw !== undefined) {
    const [cause, remedy] = splitRemedy(flaw)
    return [failure(`${what} is rejected: it ${cause}`, remedy)]
  }
  try {
    return findRefusalsOfChain(chain, what, trust, caFile, now)
  } catch {
    // DER that only OpenSSL reads, or not even OpenSSL.
    if (
      [...trust.authorities, ...chain.sent.map(sent => ({ x509: sent }))].some(issuer => x509.checkIssued(issuer.x509))
    )
      return []
    return [warning(`${what} is rejected: OpenSSL accepts no authority in ${caFile} as its issuer`, 'issue a new one')]
  }
}

/** Explains why TLS cannot use the key of a certificate, registered or not; completes "it …". */
export function findTlsFlaw({ publicKey }: X509Certificate): string | undefined {
  if (hasTlsSignature(publicKey)) return undefined
  return `has a key that TLS cannot sign with (${describeKey(publicKey)}); replace it by one on P-256`
}

/** Returns what is wrong with a client certificate that an authority issued, whatever its chain; completes "it …". */
export function findFlaw(x509: X509Certificate): string | undefined {
  const fields = readUnlessForeign(() => readFields(x509.raw))
  const flaw = fields && (findKeyFlaw(x509, fields) ?? findExtensionFlaw(fields))
  if (flaw !== undefined) return flaw
  const key = readUnlessForeign(() => findTlsFlaw(x509) ?? '')
  if (key === undefined) return 'has no public key that OpenSSL can read; replace it'
  if (key !== '') return key
  if (findWeak([x509]).length > 0 || hasWeakSignature(x509)) return weakness
  if (fields?.validity.some(time => readTime(time) === undefined))
    return 'has a validity date in a form that RFC 5280 does not allow; replace it'
  const purposes = x509.keyUsage as readonly string[] | undefined // Node calls the extended key usage `keyUsage`
  if (purposes === undefined) return 'has no extended key usage; issue it with the usage clientAuth'
  if (!purposes.includes(clientAuth))
    return 'is not a client certificate (extendedKeyUsage without clientAuth); issue it with that usage'
  const usage = fields && readUnlessForeign(() => readKeyUsage(fields))
  return usage === undefined || usage.digitalSignature || usage.keyAgreement
    ? undefined
    : 'may not sign handshakes (keyUsage without digitalSignature); issue it with that usage'
}

/** OpenSSL accepts more than strict DER. */
function readUnlessForeign<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function findRefusalsOfChain(
  { x509, sent }: ClientChain,
  what: string,
  trust: Trust,
  caFile: string,
  now: number,
): Finding[] {
  const facts = readCertificateFacts(x509)
  // Roots are trusted only from the file.
  const between = loadTrust(sent, []).authorities.filter(authority => !isIssuerOf(authority, authority))
  const pool = { authorities: [...trust.authorities, ...between], lists: trust.lists }
  const isKnown = pool.authorities.some(authority => isIssuerOf(authority, facts))
  const problem = isKnown ? findClientProblem(x509, pool, now) : undefined
  const isRevoked = findRevocation(trust, x509.raw, now) !== undefined
  return [
    ...(isKnown
      ? []
      : [
          warning(
            `${what} was issued by ${facts.issuerText}, which is not an authority in ${caFile}`,
            'add that authority, or append the intermediate certificate to the client certificate',
          ),
        ]),
    ...(problem === undefined ? [] : [warning(...prefix(`${what} is rejected`, problem))]),
    ...(isRevoked ? [warning(`${what} is revoked`, 'issue a new one')] : []),
  ]
}

function prefix(what: string, problem: string): readonly [string, string | undefined] {
  const [cause, remedy] = splitRemedy(problem)
  return [`${what}: ${cause}`, remedy]
}
