// What keeps OpenSSL from accepting a certificate in every handshake, at any time and whatever else is trusted: its key, its
// critical extensions, and for an authority that it is none. Found when files are loaded, so that operators learn it before
// clients do. OpenSSL answers wherever Node passes the question on; it decides in each handshake, and nothing here overrules it.
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
 * Finds what is wrong with the key of a certificate. The sentence completes "the certificate …", with what to
 * do after a semicolon; undefined: nothing.
 */
export function findKeyFlaw(x509: X509Certificate, fields: CertificateFields): string | undefined {
  try {
    const { publicKey } = x509
    if (!canVerify(x509)) return `has a key (${publicKey.asymmetricKeyType}) that cannot sign; replace it`
  } catch {
    return 'has no public key that OpenSSL can read; replace it'
  }
  if (hasExplicitCurve(fields))
    return 'has a key with explicit curve parameters, which OpenSSL refuses in a chain; replace it by one for a named curve'
  return undefined
}

/** What is said of those that findWeak finds; as above. */
export const weakness =
  'has a key or a signature that is too weak for OpenSSL; replace it by one with a key of 2048 bits (RSA) or on P-256, and SHA-256'

/** Finds a critical extension that OpenSSL does not know; a sentence as above. */
export function findExtensionFlaw(fields: CertificateFields): string | undefined {
  const unknown = readCriticalExtensions(fields).find(id => !supportedExtensions.has(id))
  return unknown && `has a critical extension that OpenSSL does not accept (${unknown}); replace it`
}

/** Finds why OpenSSL takes a certificate for no authority (RFC 5280 §4.2.1.3, §4.2.1.9); a sentence as above. */
export function findAuthorityFlaw(
  x509: X509Certificate,
  fields: CertificateFields,
  isRoot: boolean,
): string | undefined {
  const keyUsage = readKeyUsage(fields)
  if (keyUsage?.keyCertSign === false)
    return 'may not issue certificates (keyUsage without keyCertSign); it is no authority'
  if (x509.ca) return undefined
  if (readBasicConstraints(fields) !== undefined)
    return 'may not issue certificates (basicConstraints without cA); it is no authority'
  // OpenSSL takes a root for an authority by its age, its key usage, or an extension of Netscape's.
  const isTaken = isRoot && (fields.extensions.length === 0 || keyUsage !== undefined || hasNetscapeType(fields))
  return isTaken ? undefined : 'may not issue certificates (no basicConstraints); it is no authority'
}

/** Finds those among many certificates whose key is too weak: in one go where none is, since each question takes 2 ms. */
export function findWeak(certificates: readonly X509Certificate[]): X509Certificate[] {
  const reason = certificates.length === 0 ? undefined : findTlsProblem(certificates)
  if (reason === undefined) return []
  if (certificates.length === 1) return /too (?:small|weak)/.test(reason) ? [...certificates] : []
  const half = certificates.length >> 1
  return [certificates.slice(0, half), certificates.slice(half)].flatMap(findWeak)
}

/** Whether a certificate, unless it is self-signed, has a signature with a digest that OpenSSL takes from no authority. */
export function hasWeakSignature({ signatureAlgorithm }: X509Certificate): boolean {
  return /sha-?1(?!\d)|md[245]/i.test(signatureAlgorithm ?? '')
}

/** Why OpenSSL, at the security level that it is configured for here, presents none of these certificates. */
function findTlsProblem(certificates: readonly X509Certificate[]): string | undefined {
  try {
    createSecureContext({ cert: certificates.map(String).join(''), ca: [] }) // without `ca`, Node loads the public roots
    return undefined
  } catch (error) {
    return String((error as { reason?: string }).reason)
  }
}

/** Whether signatures can be verified with the key of a certificate: OpenSSL throws for keys that only agree on secrets. */
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
