// Who plays in the lab: the identities of a folder like certs/, and what their authority's key allows besides.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readClientId, readCredentials } from '../../client/identity.ts'
import { readCommonNames, readFields } from '../../core/certificate-fields.ts'
import { readRegularFile } from '../../files/file-access.ts'
import { checkKeyOfLeaf } from '../../files/own-certificate.ts'
import type { CertificateBlocks } from '../../files/pem.ts'
import { loadCertificates, loadPrivateKey, renderCertificates, renderPrivateKey } from '../../files/pem-files.ts'
import type { Cast, Identity } from '../../lab/cast.ts'
import type { ClientAuthentication } from '../../lab/client-authentication.ts'
import { UsageError, type Values } from '../command.ts'
import { present } from '../option.ts'
import { createIssuer } from './issue.ts'
import { readClientAuthentication } from './matrix.ts'
import { readSigner } from './signer.ts'

export interface CastOptions {
  /** Whose files play which part, where it is not the one of their name. */
  readonly names: Readonly<Partial<Record<Part, string>>>
  /** What alice is called in token requests. Default: the common name of her certificate, as for the others. */
  readonly clientId: string | undefined
  readonly clientAuthentication: ClientAuthentication
  /** Alice's secret. Default: the file of her name in the folder, as for bob. */
  readonly secretFile: string | undefined
  /** A private key that the server takes tokens of. */
  readonly signingKeyFile: string | undefined
}

type Part = 'alice' | 'bob' | 'mallory' | 'stranger'

/** The options that say who plays. @throws UsageError */
export function readCastOptions(values: Values): CastOptions {
  const textOf = (name: string) => (values[name] === undefined ? undefined : String(values[name]))
  const parts = { alice: 'victim', bob: 'thief', mallory: 'nobody', stranger: 'stranger' }
  const options: CastOptions = {
    names: present(Object.fromEntries(Object.entries(parts).map(([part, name]) => [part, textOf(name)]))),
    clientId: textOf('client-id'),
    clientAuthentication: readClientAuthentication(values),
    secretFile: textOf('client-secret-file'),
    signingKeyFile: textOf('signing-key'),
  }
  if (options.secretFile !== undefined && !usesSecret(options))
    throw new UsageError('--client-secret-file goes with --client-auth client_secret_basic or client_secret_post')
  return options
}

function usesSecret({ clientAuthentication }: CastOptions): boolean {
  return clientAuthentication.startsWith('client_secret_')
}

/** Reads the cast: `ca.crt`, `alice.crt`, `alice.key`, and what there is of the others. @throws Error naming the file. */
export function readCast(folder: string, options: CastOptions): Cast {
  const { names, clientId, clientAuthentication, secretFile, signingKeyFile } = options
  const caFile = join(folder, 'ca.crt')
  const authorities = loadCertificates(caFile)
  const ca = renderCertificates(authorities)
  const authorityKey = join(folder, 'ca.key')
  const isIssued = clientAuthentication !== 'self_signed_tls_client_auth' // else no authority could issue another one
  const find = (part: Part) => {
    const name = names[part]
    if (name === undefined && !existsSync(join(folder, `${part}.crt`))) return undefined
    return readIdentity(folder, name ?? part, ca)
  }
  const alice = readIdentity(folder, names.alice ?? 'alice', ca)
  const bob = find('bob')
  return {
    ca,
    alice: {
      ...alice,
      clientId: clientId ?? alice.clientId,
      ...(usesSecret(options) && {
        secret: readSecret(secretFile ?? join(folder, `${names.alice ?? 'alice'}.secret`)),
      }),
    },
    bob:
      bob && (usesSecret(options) ? { ...bob, secret: findSecret(join(folder, `${names.bob ?? 'bob'}.secret`)) } : bob),
    mallory: find('mallory'),
    stranger: find('stranger'),
    issue:
      isIssued && existsSync(authorityKey)
        ? issuerOf(authorities, { certFile: caFile, keyFile: authorityKey })
        : undefined,
    signClaims: signingKeyFile === undefined ? undefined : readSigner(signingKeyFile),
  }
}

function findSecret(path: string): string | undefined {
  return existsSync(path) ? readSecret(path) : undefined
}

/** The first line of a file, which must have one. */
function readSecret(path: string): string {
  const [secret = ''] = readRegularFile(path, { most: 4096 }).toString().split(/\r?\n/)
  if (secret === '') throw new Error(`${path} has no secret: it must be the first line`)
  return secret
}

function readIdentity(folder: string, name: string, ca: string): Identity {
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const chain = loadCertificates(certFile)
  const privateKey = loadPrivateKey(keyFile, { isSecret: false })
  checkKeyOfLeaf(chain, privateKey, { certFile, keyFile })
  const [certificate, key] = [renderCertificates(chain), renderPrivateKey(privateKey)]
  const credentials = readCredentials({ certificate, key, ca })
  const isNamed = readCommonNames(readFields(credentials.certificate.x509.raw)).length === 1
  return { certificate, key, name, clientId: isNamed ? readClientId(credentials) : name }
}

function issuerOf(
  authorities: CertificateBlocks,
  files: { readonly certFile: string; readonly keyFile: string },
): Cast['issue'] {
  const key = loadPrivateKey(files.keyFile, { isSecret: false })
  checkKeyOfLeaf(authorities, key, files)
  return createIssuer(authorities[0].x509, key)
}
