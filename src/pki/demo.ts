// The demo's own little PKI: one CA, a server, three clients, and a stranger whom the CA has never seen.
// Everything carries a marker by which a server in production recognizes it and refuses to start.

import { X509Certificate } from 'node:crypto'
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Identity } from './certificate.ts'
import { issueCertificate } from './certificate.ts'

/** The organization that every demo CA names as its own. */
export const DEMO_MARKER = 'tlsbound demo, not for production'

export type DemoName = 'ca' | 'server' | 'alice' | 'bob' | 'mallory' | 'stranger'
export type DemoPki = Record<DemoName, Identity>
export type DemoKeyType = 'ec' | 'rsa'

/** Issues the demo's certificates, in memory only. */
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
    // The stranger's CA is forgotten here: nobody can be made to trust it.
    stranger: client('stranger', authority('tlsbound demo CA of strangers')),
  }
}

/**
 * Whether the PEM text holds a certificate of a demo CA or one that a demo CA issued.
 * @throws when one of its certificates cannot be read.
 */
export function isDemoCertificate(pem: string): boolean {
  // OpenSSL takes a certificate under three labels, and so must we.
  const blocks = pem.match(/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----.*?-----END \1CERTIFICATE-----/gs) ?? []
  return blocks.some(block => {
    // Node writes a name as one attribute a line; its object form cannot be made for keys on every curve.
    const { subject, issuer } = new X509Certificate(block)
    return `${subject}\n${issuer}`.replaceAll('\\', '').split('\n').includes(`O=${DEMO_MARKER}`)
  })
}

export type WrittenFile = { readonly path: string; readonly expires: Date }

/**
 * Writes `NAME.crt` and `NAME.key` for every demo identity and says until when each is good.
 * @throws when one of the files is there already, before anything is written, unless told to `force`.
 */
export function writeDemoPki(
  folder: string,
  { keyType = 'ec', force = false }: { keyType?: DemoKeyType; force?: boolean } = {},
): WrittenFile[] {
  const files = Object.entries(makeDemoPki({ keyType })).flatMap(([name, { certificate, key, x509 }]) => [
    { path: join(folder, `${name}.crt`), text: certificate, mode: 0o644, expires: x509.validToDate },
    { path: join(folder, `${name}.key`), text: key, mode: 0o600, expires: x509.validToDate },
  ])
  // lstat, because a symbolic link to nowhere is in the way as well.
  const obstacle = files.find(({ path }) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
  if (obstacle && !force) {
    throw new Error(`${obstacle.path} exists already, so nothing was written; --force replaces the demo's files.`)
  }

  mkdirSync(folder, { recursive: true })
  for (const { path, text, mode } of files) {
    // A mode is only for new files: an old key must go first, or the new one would be as readable as that was.
    if (force) rmSync(path, { force: true })
    writeFileSync(path, text, { flag: 'wx', mode })
  }
  return files.map(({ path, expires }) => ({ path, expires }))
}
