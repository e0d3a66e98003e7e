// Who plays in the lab: the identities of a folder like certs/, and what their authority's key allows besides.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readClientId, readCredentials } from '../../client/identity.ts'
import type { Cast, Identity } from '../../lab/cast.ts'
import { createIssuer } from './issue.ts'
import { readSigner } from './signer.ts'

export interface CastOptions {
  /** What alice is called in token requests. Default: the common name of her certificate, as for the others. */
  readonly clientId: string | undefined
  /** A private key that the server takes tokens of. */
  readonly signingKeyFile: string | undefined
}

/** Reads the cast: `ca.crt`, `alice.crt`, `alice.key`, and what there is of the others. @throws Error naming the file. */
export function readCast(folder: string, { clientId, signingKeyFile }: CastOptions): Cast {
  const ca = read(join(folder, 'ca.crt'))
  const authorityKey = join(folder, 'ca.key')
  const alice = readIdentity(folder, 'alice', ca)
  return {
    ca,
    alice: { ...alice, clientId: clientId ?? alice.clientId },
    bob: readOptional(folder, 'bob', ca),
    mallory: readOptional(folder, 'mallory', ca),
    stranger: readOptional(folder, 'stranger', ca),
    issue: existsSync(authorityKey) ? issuerOf(ca, authorityKey) : undefined,
    signClaims: signingKeyFile === undefined ? undefined : readSigner(signingKeyFile),
  }
}

function readOptional(folder: string, name: string, ca: string): Identity | undefined {
  return existsSync(join(folder, `${name}.crt`)) ? readIdentity(folder, name, ca) : undefined
}

function readIdentity(folder: string, name: string, ca: string): Identity {
  const path = join(folder, name)
  const [certificate, key] = [read(`${path}.crt`), read(`${path}.key`)]
  const credentials = parse(`${path}.crt and ${path}.key`, () => readCredentials({ certificate, key, ca }))
  const { CN } = credentials.certificate.x509.toLegacyObject().subject as { CN?: unknown }
  return { certificate, key, clientId: typeof CN === 'string' ? readClientId(credentials) : name }
}

function issuerOf(ca: string, keyFile: string): Cast['issue'] {
  const key = parse(keyFile, () => createPrivateKey(read(keyFile)))
  const certificate = parse('ca.crt', () => new X509Certificate(ca))
  if (!certificate.checkPrivateKey(key)) throw new Error(`${keyFile} is not the key of the certificate beside it`)
  return createIssuer(certificate, key)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Not with the parser's own words: they can quote what stands in the file. */
function parse<T>(path: string, parser: () => T): T {
  try {
    return parser()
  } catch {
    throw new Error(`${path} cannot be used: certificate and private key as PEM, which belong together, are needed`)
  }
}
