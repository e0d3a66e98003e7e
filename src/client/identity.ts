// Who the client is: its certificate and private key, and the authorities that it trusts servers from.
// From texts, or from files that may change while the client runs.
import type { KeyObject } from 'node:crypto'
import { statSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { readCommonNames, readFields } from '../core/certificate-fields.ts'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { checkKeyOfLeaf } from '../files/own-certificate.ts'
import { parseCertificates, parsePrivateKey } from '../files/pem.ts'
import { loadCertificates, loadPrivateKey, renderCertificates, renderPrivateKey } from '../files/pem-files.ts'
import { secureOptions } from '../outgoing/connect.ts'
import { ClientError } from './errors.ts'

/** PEM texts. */
export interface Identity {
  /** The client certificate, then the intermediate ones. */
  readonly certificate: string
  readonly key: string
  /** The authorities that servers are trusted from; no others are. */
  readonly ca: string
}

/** An identity that may change, asked for often: the same object as long as it is the same identity. */
export type IdentitySource = () => Identity

/** An identity made ready for TLS and for signatures. */
export interface Credentials {
  readonly identity: Identity
  readonly certificate: PresenterCertificate
  readonly key: KeyObject
  /** For connections with this lowest version. @throws ClientError `identity_unusable`. */
  context(minVersion: 'TLSv1.2' | 'TLSv1.3'): SecureContext
}

/** Makes an identity ready. @throws ClientError `identity_unusable`. */
export function readCredentials(identity: Identity): Credentials {
  try {
    const chain = parseCertificates(identity.certificate, 'certificate')
    const key = parsePrivateKey(identity.key, 'key', { passphraseSetting: 'keyPassphraseFile of readIdentityFiles' })
    const authorities = parseCertificates(identity.ca, 'ca')
    checkKeyOfLeaf(chain, key, { certFile: 'certificate', keyFile: 'key' })
    // Written anew, so that OpenSSL gets all that was read, and nothing else.
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
          throw new ClientError('identity_unusable', { cause }) // a key of a kind that TLS does not know
        }
      },
    }
  } catch (cause) {
    throw new ClientError('identity_unusable', { cause })
  }
}

/** @throws Error for a key that TLS 1.3 has no signature for: OpenSSL would then present no certificate at all. */
function requireTls13({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): void {
  const { namedCurve = 'without a name' } = details ?? {}
  if (type === 'ec' ? !curves.includes(namedCurve) : type === 'dsa')
    throw new Error(
      `TLS 1.3 has no signatures of a key ${type === 'ec' ? `on the curve ${namedCurve}` : 'for DSA'}; use one on P-256`,
    )
}

/** RFC 8446 §4.2.3 and RFC 8734 §3, as OpenSSL names them. */
const curves = [
  ...['prime256v1', 'secp384r1', 'secp521r1'],
  ...['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'],
]

export interface IdentityFiles {
  readonly certFile: string
  readonly keyFile: string
  /** The passphrase of the key, if it is encrypted: one line, in a file of mode 0600. */
  readonly keyPassphraseFile?: string | undefined
  readonly caFile: string
}

/** Milliseconds between two looks at the files. */
const lookInterval = 1000

/**
 * Reads an identity from files, and again when they have changed. While what changed cannot be used (one file of two is
 * written already), the identity before it stays in use and `onProblem` is told once.
 * @throws ClientError `identity_unusable` when the files cannot be used at first.
 */
export function readIdentityFiles(
  files: IdentityFiles,
  onProblem: (problem: ClientError) => void = () => {},
): IdentitySource {
  let state = look(files)
  let identity = read(files)
  let lookedAt = performance.now()
  return () => {
    if (performance.now() - lookedAt < lookInterval) return identity
    lookedAt = performance.now()
    const now = look(files)
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

/** Reads the files; what they hold is written anew, with the key decrypted. */
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

/** What shows that a file was written: when, how long, and which one it is, for those that are put in another's place. */
function look({ certFile, keyFile, keyPassphraseFile = keyFile, caFile }: IdentityFiles): string {
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

/** The `client_id` of an identity for which none was given: the one common name of its certificate. @throws TypeError */
export function readClientId({ certificate: { x509 } }: Credentials): string {
  const [name, ...others] = readCommonNames(readFields(x509.raw))
  if (name === undefined || name === '' || others.length > 0)
    throw new TypeError('the certificate has no common name; give a clientId')
  return name
}

/**
 * The credentials of an identity, made ready once for each that a source gives. What cannot be used later changes nothing.
 * @throws ClientError `identity_unusable` when it cannot be used at first.
 */
export function followIdentity(
  identity: Identity | IdentitySource,
  onProblem: (problem: ClientError) => void,
): () => Credentials {
  if (typeof identity !== 'function') {
    const credentials = readCredentials(identity)
    return () => credentials
  }
  let given = identity()
  let current = readCredentials(given)
  return () => {
    try {
      const now = identity()
      if (now === given) return current
      given = now
      current = readCredentials(now)
    } catch (cause) {
      onProblem(cause instanceof ClientError ? cause : new ClientError('identity_unusable', { cause }))
    }
    return current
  }
}
