// Private keys and certificates in PEM, including PEM in JSON or YAML with \n as line ends. RFC 7468.
import { createPrivateKey, createPublicKey, hash, X509Certificate } from 'node:crypto'
import type { Found } from './sighting.ts'

/** In octets; the longest RSA keys in use have less than 13,000. */
const maximumPem = 16_000

/** Reads the block that begins at `at`. Only its end contains five dashes in a row. */
export function readPem(text: string, at: number): Found | undefined {
  const label = /^-----BEGIN ([A-Z ]{1,40})-----/.exec(text.slice(at, at + 64))?.[1]
  const end = `-----END ${label}-----`
  const next = text.slice(at, at + maximumPem).indexOf('-----', end.length)
  return next !== -1 && text.startsWith(end, at + next)
    ? { start: at, text: text.slice(at, at + next + end.length) }
    : undefined
}

export interface PemCertificate {
  readonly subject: string
  /** `x5t#S256` */
  readonly thumbprint: string
  /** The hash of the public key, which identifies the private key. */
  readonly publicKey: string
}

/** Parses a certificate; undefined for an invalid one. */
export function readPemCertificate(block: string): PemCertificate | undefined {
  try {
    const x509 = new X509Certificate(withLines(block))
    const publicKey = hash('sha256', x509.publicKey.export({ type: 'spki', format: 'der' }), 'base64url')
    const thumbprint = hash('sha256', x509.raw, 'base64url')
    return { subject: x509.subject.replaceAll('\n', ', '), thumbprint, publicKey }
  } catch {
    return undefined
  }
}

/** Returns the hash of a private key's public key; undefined for an encrypted or invalid key. */
export function readPemKey(block: string): string | undefined {
  try {
    const key = createPrivateKey(withLines(block))
    return hash('sha256', createPublicKey(key).export({ type: 'spki', format: 'der' }), 'base64url')
  } catch {
    return undefined
  }
}

/** Removes the \n line ends and the indentation of YAML. */
function withLines(block: string): string {
  return block.replace(/(?:\\r)?\\n/g, '\n').replace(/^[ \t]+/gm, '')
}
