// Certificates other than the demo's, which a server in production accepts.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueCertificate } from '../../../src/pki/certificate.ts'

/** Writes `ca`, `server` and `alice`, with keys of mode 0600, into a folder, and returns them. */
export function writeOwnPki(folder: string) {
  const notAfter = new Date(Date.now() + 90 * 86_400_000) // so that there is no warning
  const ca = issueCertificate({ ca: true, subject: [['CN', 'an authority']], notAfter })
  const altNames = [{ dns: 'localhost' }, { ip: '127.0.0.1' }]
  const issue = (name: string, purpose: 'serverAuth' | 'clientAuth') =>
    issueCertificate({ issuer: ca, subject: [['CN', name]], altNames, extendedKeyUsage: [purpose], notAfter })
  const identities = { ca, server: issue('localhost', 'serverAuth'), alice: issue('alice', 'clientAuth') }
  mkdirSync(folder, { recursive: true })
  for (const [name, { certificate, key }] of Object.entries(identities)) {
    writeFileSync(join(folder, `${name}.crt`), certificate)
    writeFileSync(join(folder, `${name}.key`), key, { mode: 0o600 })
  }
  return identities
}
