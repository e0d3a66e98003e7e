// Loads the cast of the lab: the identities in a folder like certs/, and what the authority's key makes possible.
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
import { readPasetoSigner, readSigner } from './signer.ts'

export interface CastOptions {
  /** File names of the parts that differ from the defaults. */
  readonly names: Readonly<Partial<Record<Part, string>>>
  /** The client_id of alice. Default: the common name of her certificate, as for the others. */
  readonly clientId: string | undefined
  readonly clientAuthentication: ClientAuthentication
  /** The file of alice's secret. Default: the file with her name in the folder, as for bob. */
  readonly secretFile: string | undefined
  /** A private key that the server trusts for tokens. */
  readonly signingKeyFile: string | undefined
}

type Part = 'alice' | 'bob' | 'mallory' | 'stranger'

/** Parses the options about the cast. @throws UsageError */
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
    throw new UsageError('--client-secret-file requires --client-auth client_secret_basic or client_secret_post')
  return options
}

function usesSecret({ clientAuthentication }: CastOptions): boolean {
  return clientAuthentication.startsWith('client_secret_')
}

/** Loads `ca.crt`, `alice.crt`, `alice.key`, and the existing files of the others. @throws Error naming the file. */
export function readCast(folder: string, options: CastOptions): Cast {
  const { names, clientId, clientAuthentication, secretFile, signingKeyFile } = options
  const caFile = join(folder, 'ca.crt')
  const authorities = loadCertificates(caFile)
  const ca = renderCertificates(authorities)
  const authorityKey = join(folder, 'ca.key')
  const isIssued = clientAuthentication !== 'self_signed_tls_client_auth' // a self-signed certificate has no authority to issue others
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
    signPaseto: signingKeyFile === undefined ? undefined : readPasetoSigner(signingKeyFile),
  }
}

function findSecret(path: string): string | undefined {
  return existsSync(path) ? readSecret(path) : undefined
}

/** Reads the first line of a file, which must not be empty. */
function readSecret(path: string): string {
  const [secret = ''] = readRegularFile(path, { most: 4096 }).toString().split(/\r?\n/)
  if (secret === '') throw new Error(`${path}: the first line is empty, the secret must be there`)
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
