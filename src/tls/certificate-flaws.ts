// Finds why OpenSSL would reject a certificate in every handshake: its key, its critical extensions, or missing rights of an
// authority. Checked when files are loaded, so that operators are notified before clients fail. Uses OpenSSL itself where Node
// allows it. OpenSSL still decides in each handshake.
import { verify, type X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import {
  type CertificateFields,
  hasExplicitCurve,
  readBasicConstraints,
  readCriticalExtensions,
  readExtension,
  readKeyUsage,
} from '../core/certificate-fields.ts'

/**
 * Finds a flaw in the key of a certificate. The sentence completes "the certificate …" and contains a remedy after a semicolon.
 * Returns undefined if there is none.
 */
export function findKeyFlaw(x509: X509Certificate, fields: CertificateFields): string | undefined {
  try {
    const { publicKey } = x509
    if (!canVerify(x509)) return `has a key (${publicKey.asymmetricKeyType}) that cannot sign; replace it`
  } catch {
    return 'has no public key that OpenSSL can read; replace it'
  }
  if (hasExplicitCurve(fields))
    return 'has a key with explicit curve parameters, which OpenSSL rejects in a chain; replace it by one with a named curve'
  return undefined
}

/** The sentence for certificates that findWeak finds; as above. */
export const weakness =
  'has a key or a signature that is too weak for OpenSSL; replace it by one with a key of 2048 bits (RSA) or on P-256, and SHA-256'

/** Finds a critical extension that OpenSSL does not support; a sentence as above. */
export function findExtensionFlaw(fields: CertificateFields): string | undefined {
  const unknown = readCriticalExtensions(fields).find(id => !supportedExtensions.has(id))
  return unknown && `has a critical extension that OpenSSL does not accept (${unknown}); replace it`
}

/** Finds why OpenSSL does not accept a certificate as an authority (RFC 5280 §4.2.1.3, §4.2.1.9); a sentence as above. */
export function findAuthorityFlaw(
  x509: X509Certificate,
  fields: CertificateFields,
  isRoot: boolean,
): string | undefined {
  const keyUsage = readKeyUsage(fields)
  if (keyUsage?.keyCertSign === false)
    return 'may not issue certificates (keyUsage without keyCertSign); use the certificate of an authority'
  if (x509.ca) return undefined
  if (readBasicConstraints(fields) !== undefined)
    return 'may not issue certificates (basicConstraints without cA); use the certificate of an authority'
  // OpenSSL accepts a root as an authority if it has no extensions, a key usage, or the Netscape certificate type.
  const isTaken = isRoot && (fields.extensions.length === 0 || keyUsage !== undefined || hasNetscapeType(fields))
  return isTaken ? undefined : 'may not issue certificates (no basicConstraints); use the certificate of an authority'
}

/** Finds the certificates with a weak key, by bisection: each query takes 2 ms, and usually no key is weak. */
export function findWeak(certificates: readonly X509Certificate[]): X509Certificate[] {
  const reason = certificates.length === 0 ? undefined : findTlsProblem(certificates)
  if (reason === undefined) return []
  if (certificates.length === 1) return /too (?:small|weak)/.test(reason) ? [...certificates] : []
  const half = certificates.length >> 1
  return [certificates.slice(0, half), certificates.slice(half)].flatMap(findWeak)
}

/** Returns whether the digest of the signature is too weak for OpenSSL. Irrelevant for self-signed certificates. */
export function hasWeakSignature({ signatureAlgorithm }: X509Certificate): boolean {
  return /sha-?1(?!\d)|md[245]/i.test(signatureAlgorithm ?? '')
}

/** Finds why OpenSSL, at its configured security level, cannot present these certificates. */
function findTlsProblem(certificates: readonly X509Certificate[]): string | undefined {
  try {
    createSecureContext({ cert: certificates.map(String).join(''), ca: [] }) // without `ca`, Node loads the public roots
    return undefined
  } catch (error) {
    return String((error as { reason?: string }).reason)
  }
}

/** Returns whether the key of a certificate can verify signatures. OpenSSL throws for key agreement keys. */
function canVerify({ publicKey }: X509Certificate): boolean {
  try {
    verify(null, Buffer.alloc(0), publicKey, Buffer.alloc(1))
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ERR_OSSL_EVP_OPERATION_NOT_SUPPORTED_FOR_THIS_KEYTYPE'
  }
}

function hasNetscapeType(fields: CertificateFields): boolean {
  return readExtension(fields, netscapeCertificateType) !== undefined
}

const netscapeCertificateType = Buffer.from('6086480186f8420101', 'hex')

/** X509_supported_extension, measured in test/tls/certificate-flaws.test.ts. */
const supportedExtensions: ReadonlySet<string> = new Set([
  ...[15, 17, 19, 30, 31, 32, 33, 36, 37, 54].map(arc => `2.5.29.${arc}`),
  ...['2.16.840.1.113730.1.1', '1.3.6.1.5.5.7.1.7', '1.3.6.1.5.5.7.1.8', '1.3.6.1.5.5.7.48.1.5'],
])
