// The identity of a client: its certificate, its private key, and the authorities that it trusts for servers.
// It comes from PEM texts, or from files that may change while the client runs.
import type { KeyObject } from 'node:crypto'
import { statSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { readCommonNames, readFields } from '../core/certificate-fields.ts'
import { checkOptions, isObject } from '../core/check-options.ts'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { checkKeyOfLeaf } from '../files/own-certificate.ts'
import { parseCertificates, parsePrivateKey } from '../files/pem.ts'
import { loadCertificates, loadPrivateKey, renderCertificates, renderPrivateKey } from '../files/pem-files.ts'
import { secureOptions } from '../outgoing/connect.ts'
import { fileRules, identityRules, optionalFileRules } from './check-options.ts'
import { ClientError } from './errors.ts'

/** An identity in PEM. */
export interface Identity {
  /** The client certificate, followed by its intermediates. */
  readonly certificate: string
  readonly key: string
  /** The authorities that are trusted for servers; no others are. */
  readonly ca: string
}

/** Returns an identity that may change. It is called often and returns the same object until the identity changes. */
export type IdentitySource = () => Identity

/** An identity prepared for TLS and for signatures. */
export interface Credentials {
  readonly identity: Identity
  readonly certificate: PresenterCertificate
  readonly key: KeyObject
  /** Returns a context with this minimum TLS version. @throws ClientError `identity_unusable`. */
  context(minVersion: 'TLSv1.2' | 'TLSv1.3'): SecureContext
}

/**
 * Parses and verifies an identity, which messages call `name`.
 * @throws TypeError that names the member that is no text; ClientError `identity_unusable`.
 */
export function readCredentials(identity: Identity, name = 'identity'): Credentials {
  // Other members are ignored, such as those of an identity of tlsbound/testing.
  const isWhole = isObject(identity) && !(identity instanceof Promise)
  const members = isWhole ? { certificate: identity.certificate, key: identity.key, ca: identity.ca } : identity
  checkOptions(members, name, identityRules)
  refusePaths(identity, name)
  try {
    const chain = parseCertificates(identity.certificate, 'certificate')
    const key = parsePrivateKey(identity.key, 'key', { passphraseSetting: 'keyPassphraseFile of readIdentityFiles' })
    const authorities = parseCertificates(identity.ca, 'ca')
    checkKeyOfLeaf(chain, key, { certFile: 'certificate', keyFile: 'key' })
    // Rendered again, so that OpenSSL parses exactly what was verified.
    const [cert, ca] = [renderCertificates(chain), renderCertificates(authorities)]
    const contexts = new Map<string, SecureContext>()
    return {
      identity,
      certificate: readCertificate(chain[0].x509),
      key,
      context(minVersion) {
        try {
          if (minVersion === 'TLSv1.3') requireTls13(key)
          const context =
            contexts.get(minVersion) ??
            createSecureContext({ cert, key: renderPrivateKey(key), ca, minVersion, secureOptions })
          contexts.set(minVersion, context)
          return context
        } catch (cause) {
          throw new ClientError('identity_unusable', { cause }) // a key type that TLS does not support
        }
      },
    }
  } catch (cause) {
    throw new ClientError('identity_unusable', { cause })
  }
}

/** The name of a file. No PEM and no base64 ends like that. */
const fileName = /^[^\r\n\0]{0,4096}\.(?:pem|crt|cer|cert|key|der|p12|pfx)$/i

/** @throws TypeError for a path in the place of a PEM text. */
function refusePaths(identity: Identity, name: string): void {
  for (const member of ['certificate', 'key', 'ca'] as const)
    if (fileName.test(identity[member]))
      throw new TypeError(
        `${name}.${member} is the path of a file, a PEM text is needed; load files with identity: readIdentityFiles({ certFile, keyFile, caFile })`,
      )
}

/** @throws Error for a key type without a TLS 1.3 signature scheme: OpenSSL would silently present no certificate. */
function requireTls13({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): void {
  const { namedCurve = 'without a name' } = details ?? {}
  if (type === 'ec' ? !curves.includes(namedCurve) : type === 'dsa')
    throw new Error(
      `TLS 1.3 has no signature scheme for a key ${type === 'ec' ? `on the curve ${namedCurve}` : 'of type DSA'}; use one on P-256`,
    )
}

/** The curves of RFC 8446 §4.2.3 and RFC 8734 §3, by their OpenSSL names. */
const curves = [
  ...['prime256v1', 'secp384r1', 'secp521r1'],
  ...['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'],
]

export interface IdentityFiles {
  readonly certFile: string
  readonly keyFile: string
  /** The passphrase of an encrypted key: one line, in a file of mode 0600. */
  readonly keyPassphraseFile?: string | undefined
  readonly caFile: string
}

/** Milliseconds between two checks of the files. */
const pollInterval = 1000

/**
 * Reads an identity from files, and again after they change. While the new files are invalid (for example, only one of
 * two is written), the previous identity stays in use and `onProblem` is called once.
 * @throws TypeError for a member that is no path; ClientError `identity_unusable` when the files are invalid at first.
 */
export function readIdentityFiles(
  files: IdentityFiles,
  onProblem: (problem: ClientError) => void = () => {},
): IdentitySource {
  checkOptions(files, 'files', fileRules, optionalFileRules)
  let state = fingerprintOf(files)
  let identity = read(files)
  let polledAt = performance.now()
  return () => {
    if (performance.now() - polledAt < pollInterval) return identity
    polledAt = performance.now()
    const now = fingerprintOf(files)
    if (now === state) return identity
    state = now
    try {
      identity = read(files)
    } catch (problem) {
      onProblem(problem as ClientError)
    }
    return identity
  }
}

/** Reads the files, and renders them again with the key decrypted. */
function read({ certFile, keyFile, keyPassphraseFile: passphraseFile, caFile }: IdentityFiles): Identity {
  try {
    const chain = loadCertificates(certFile)
    const passphraseSetting = 'keyPassphraseFile (--key-passphrase)'
    const key = loadPrivateKey(keyFile, { isSecret: false, passphraseFile, passphraseSetting })
    checkKeyOfLeaf(chain, key, { certFile, keyFile })
    const ca = renderCertificates(loadCertificates(caFile))
    return { certificate: renderCertificates(chain), key: renderPrivateKey(key), ca }
  } catch (cause) {
    throw new ClientError('identity_unusable', { cause })
  }
}

/** Returns a fingerprint of the files: modification time, size, and inode (for files that are replaced). */
function fingerprintOf({ certFile, keyFile, keyPassphraseFile = keyFile, caFile }: IdentityFiles): string {
  return [certFile, keyFile, keyPassphraseFile, caFile]
    .map(file => {
      try {
        const { mtimeMs, size, ino } = statSync(file)
        return `${mtimeMs} ${size} ${ino}`
      } catch {
        return 'none'
      }
    })
    .join()
}

/** Returns the default `client_id`: the only common name of the certificate. @throws TypeError */
export function readClientId({ certificate: { x509 } }: Credentials): string {
  const [name, ...others] = readCommonNames(readFields(x509.raw))
  if (name === undefined || name === '' || others.length > 0)
    throw new TypeError('the certificate does not have exactly one common name; set clientId')
  return name
}

/**
 * Returns the credentials of an identity, prepared once per identity. A later invalid identity leaves them unchanged.
 * @throws TypeError or ClientError as `readCredentials` does, when the identity is invalid at first.
 */
export function followIdentity(
  identity: Identity | IdentitySource,
  onProblem: (problem: ClientError) => void,
): () => Credentials {
  if (typeof identity !== 'function') {
    const credentials = readCredentials(identity)
    return () => credentials
  }
  const name = 'the result of identity()'
  let given = identity()
  let current = readCredentials(given, name)
  return () => {
    try {
      const now = identity()
      if (now === given) return current
      given = now
      current = readCredentials(now, name)
    } catch (cause) {
      onProblem(cause instanceof ClientError ? cause : new ClientError('identity_unusable', { cause }))
    }
    return current
  }
}
