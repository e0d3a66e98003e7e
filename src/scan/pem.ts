// Private keys and certificates in PEM, also where their line ends are written as \n inside JSON or YAML. RFC 7468.
import { createPrivateKey, createPublicKey, hash, X509Certificate } from 'node:crypto'
import type { Found } from './sighting.ts'

/** Octets; the longest RSA keys in use have less than 13,000. */
const maximumPem = 16_000

/** Reads the block that begins at `at`. Nothing in it has five dashes in a row but its end. */
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
  /** Hash of the public key, by which its private key is found. */
  readonly publicKey: string
}

/** Reads a certificate; undefined when it is none. */
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

/** The hash of the public key of a private one; undefined for one that is encrypted, or is none. */
export function readPemKey(block: string): string | undefined {
  try {
    const key = createPrivateKey(withLines(block))
    return hash('sha256', createPublicKey(key).export({ type: 'spki', format: 'der' }), 'base64url')
  } catch {
    return undefined
  }
}

/** Line ends that are written as \n, and spaces before lines, as YAML has them. */
function withLines(block: string): string {
  return block.replace(/(?:\\r)?\\n/g, '\n').replace(/^[ \t]+/gm, '')
}
