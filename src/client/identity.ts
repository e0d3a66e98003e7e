// Who the client is: its certificate and private key, and the authorities that it trusts servers from.
// From texts, or from files that may change while the client runs.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { type PresenterCertificate, readCertificate } from '../core/presenter.ts'
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
  /** For connections with this lowest version. */
  context(minVersion: 'TLSv1.2' | 'TLSv1.3'): SecureContext
}

/** Makes an identity ready. @throws ClientError `identity_unusable`. */
export function readCredentials(identity: Identity): Credentials {
  try {
    const { certificate, key, ca } = identity
    const x509 = new X509Certificate(certificate)
    const privateKey = createPrivateKey(key)
    if (!x509.checkPrivateKey(privateKey)) throw new Error('the private key is not that of the certificate')
    new X509Certificate(ca) // OpenSSL would take an empty text, and trust nobody
    const contexts = new Map<string, SecureContext>()
    return {
      identity,
      certificate: readCertificate(x509),
      key: privateKey,
      context(minVersion) {
        const context = contexts.get(minVersion) ?? createSecureContext({ cert: certificate, key, ca, minVersion })
        contexts.set(minVersion, context)
        return context
      },
    }
  } catch (cause) {
    throw new ClientError('identity_unusable', { cause })
  }
}

export interface IdentityFiles {
  readonly certFile: string
  readonly keyFile: string
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

function read({ certFile, keyFile, caFile }: IdentityFiles): Identity {
  try {
    const [certificate, key, ca] = [certFile, keyFile, caFile].map(file => readFileSync(file, 'utf8'))
    const identity = { certificate, key, ca } as Identity
    readCredentials(identity)
    return identity
  } catch (cause) {
    throw cause instanceof ClientError ? cause : new ClientError('identity_unusable', { cause })
  }
}

/** What shows that a file was written: when, how long, and which one it is, for those that are put in another's place. */
function look({ certFile, keyFile, caFile }: IdentityFiles): string {
  return [certFile, keyFile, caFile]
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
  const { CN: name } = x509.toLegacyObject().subject as { readonly CN?: unknown }
  if (typeof name !== 'string' || name === '')
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
    const now = identity()
    if (now === given) return current
    given = now
    try {
      current = readCredentials(now)
    } catch (problem) {
      onProblem(problem as ClientError)
    }
    return current
  }
}
