// The demo PKI: one CA, a server, three clients, and a stranger with an unknown CA.
// All of it has a marker, by which a server in production mode recognizes it and refuses to start.

import { X509Certificate } from 'node:crypto'
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Identity } from './certificate.ts'
import { issueCertificate } from './certificate.ts'

/** The organization in the name of every demo CA. */
export const DEMO_MARKER = 'tlsbound demo, not for production'

export const demoNames = ['ca', 'server', 'alice', 'bob', 'mallory', 'stranger'] as const
export type DemoName = (typeof demoNames)[number]
export type DemoPki = Record<DemoName, Identity>
export type DemoKeyType = 'ec' | 'rsa'

/** Issues the demo certificates in memory. */
export function makeDemoPki({ keyType = 'ec' }: { keyType?: DemoKeyType } = {}): DemoPki {
  const authority = (name: string) =>
    issueCertificate({
      keyType,
      ca: true,
      subject: [
        ['CN', name],
        ['O', DEMO_MARKER],
      ],
    })
  const client = (name: string, issuer: Identity) =>
    issueCertificate({
      keyType,
      issuer,
      subject: [['CN', name]],
      extendedKeyUsage: ['clientAuth'],
      notAfter: issuer.x509.validToDate,
    })

  const ca = authority('tlsbound demo CA')
  const server = issueCertificate({
    keyType,
    issuer: ca,
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }, { ip: '127.0.0.1' }, { ip: '::1' }],
    extendedKeyUsage: ['serverAuth'],
    notAfter: ca.x509.validToDate,
  })
  return {
    ca,
    server,
    alice: client('alice', ca),
    bob: client('bob', ca),
    mallory: client('mallory', ca),
    // The stranger's CA is discarded, so that it cannot become trusted.
    stranger: client('stranger', authority('tlsbound demo CA of strangers')),
  }
}

/**
 * Returns whether the PEM text contains a certificate of a demo CA, or one issued by a demo CA.
 * @throws when one of its certificates is unreadable.
 */
export function isDemoCertificate(pem: string): boolean {
  // OpenSSL accepts a certificate under three labels, so all three are checked.
  const blocks = pem.match(/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----.*?-----END \1CERTIFICATE-----/gs) ?? []
  // Reads OpenSSL's text: Node's legacy object crashes on a key on a curve without a NIST name.
  const line = `O=${DEMO_MARKER.replace(',', '\\,')}`
  return blocks.some(block => {
    const { subject, issuer } = new X509Certificate(block)
    return `${subject ?? ''}\n${issuer ?? ''}`.split('\n').includes(line)
  })
}

export type WrittenFile = { readonly path: string; readonly expires: Date }

/**
 * Writes `NAME.crt` and `NAME.key` for every demo identity, and returns their expiry.
 * @throws when one of the files exists, before anything is written, unless `force` is set.
 */
export function writeDemoPki(
  folder: string,
  { keyType = 'ec', force = false }: { keyType?: DemoKeyType; force?: boolean } = {},
): WrittenFile[] {
  const files = Object.entries(makeDemoPki({ keyType })).flatMap(([name, { certificate, key, x509 }]) => [
    { path: join(folder, `${name}.crt`), text: certificate, mode: 0o644, expires: x509.validToDate },
    { path: join(folder, `${name}.key`), text: key, mode: 0o600, expires: x509.validToDate },
  ])
  // lstat, because a dangling symbolic link also prevents writing.
  const obstacle = files.find(({ path }) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
  if (obstacle && !force) {
    throw new Error(`${obstacle.path} exists, nothing was written; --force replaces the demo files.`)
  }

  mkdirSync(folder, { recursive: true })
  for (const { path, text, mode } of files) {
    // A mode applies only to new files, so an old key is removed first.
    if (force) rmSync(path, { force: true })
    writeFileSync(path, text, { flag: 'wx', mode })
  }
  return files.map(({ path, expires }) => ({ path, expires }))
}
