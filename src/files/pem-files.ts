// Loads files of certificates, keys and revocation lists, for the server, the client library and the commands. pem.ts parses them.
import type { KeyObject, X509Certificate } from 'node:crypto'
import { readRegularFile } from './file-access.ts'
import {
  type CertificateBlocks,
  mostListOctets,
  mostPemOctets,
  parseCertificates,
  parsePrivateKey,
  parseRevocationLists,
  type RevocationListBlock,
} from './pem.ts'
import { loadSecretLine } from './secret-line.ts'

/** Loads at least one certificate. @throws FileProblem */
export function loadCertificates(path: string): CertificateBlocks {
  return parseCertificates(readRegularFile(path, { most: mostPemOctets }), path)
}

/** Loads at least one revocation list. @throws FileProblem */
export function loadRevocationLists(path: string): readonly RevocationListBlock[] {
  return parseRevocationLists(readRegularFile(path, { most: mostListOctets }), path)
}

export interface KeyFileOptions {
  /** Whether to reject a key that other users on this machine can read. */
  readonly isSecret: boolean
  readonly passphraseFile?: string | undefined
  /** The name of the setting or option for a passphrase file; undefined if there is none. */
  readonly passphraseSetting?: string | undefined
}

/** Loads the private key of a file, and decrypts it. @throws FileProblem */
export function loadPrivateKey(
  path: string,
  { isSecret, passphraseFile, passphraseSetting }: KeyFileOptions,
): KeyObject {
  const content = readRegularFile(path, { most: mostPemOctets, isSecret })
  const passphrase =
    passphraseFile === undefined
      ? undefined
      : {
          value: loadSecretLine(passphraseFile, { most: mostPassphraseOctets, what: 'passphrase' }),
          file: passphraseFile,
        }
  return parsePrivateKey(content, path, { passphrase, passphraseSetting })
}

/** The limit of OpenSSL. */
export const mostPassphraseOctets = 1024

/** Renders certificates as PEM, one block for each, in order. */
export function renderCertificates(certificates: readonly { readonly x509: X509Certificate }[]): string {
  return certificates.map(({ x509 }) => x509.toString()).join('')
}

/** Renders a private key as unencrypted PEM. */
export function renderPrivateKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
