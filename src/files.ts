// Reads and makes the files that the settings point to. Every problem is one sentence that names the file.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Clients, readClients } from './core/client.ts'
import type { TlsMaterial } from './http/tls.ts'
import { readRevocationLists } from './http/tls.ts'
import { generateTokenKey, importSigningKey, readTokenJwk, type SigningKey } from './http/token-keys.ts'
import { readTrust } from './http/trust.ts'
import type { Settings } from './settings.ts'

/** Reads the TLS files and checks that they belong together. @throws Error naming the file that cannot be used. */
export function readTlsFiles(settings: Settings): TlsMaterial {
  const cert = read(settings.tlsCertFile)
  const key = readSecret(settings.tlsKeyFile)
  const ca = read(settings.tlsClientCaFile)
  const crl = settings.tlsClientCrlFile === undefined ? undefined : read(settings.tlsClientCrlFile)
  const material = { cert, key, ca, crl }
  const leaf = parse(settings.tlsCertFile, () => new X509Certificate(cert))
  const privateKey = parse(settings.tlsKeyFile, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey))
    throw new Error(`${settings.tlsKeyFile} is not the key of the certificate in ${settings.tlsCertFile}`)
  parse(settings.tlsClientCrlFile ?? settings.tlsClientCaFile, () => readTrust(ca, readRevocationLists(material)))
  return material
}

/** Reads the client registrations. @throws Error with every problem of the list. */
export function readClientsFile(path: string): Clients {
  const problems: string[] = []
  const text = read(path)
  const clients = readClients(
    parse(path, () => JSON.parse(text)),
    problems,
  )
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
  return clients
}

/** Reads the signing keys; makes the file with one key first when it is `ours` to make and missing. */
export async function readSigningKeys(
  path: string,
  ours: boolean,
  algorithm: Settings['signingAlgorithm'],
): Promise<SigningKey[]> {
  if (ours && statSync(path, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const keys = [await generateTokenKey(algorithm)]
    writeFileSync(path, `${JSON.stringify({ keys }, null, 2)}\n`, { flag: 'wx', mode: 0o600 })
  }
  const text = readSecret(path)
  const document = parse(path, () => JSON.parse(text) as { keys?: unknown } | null)
  const list = document?.keys
  if (!Array.isArray(list) || list.length === 0) throw new Error(`${path}: must be a JWKS with at least one key`)
  try {
    const keys = await Promise.all(list.map(jwk => importSigningKey(readTokenJwk(jwk))))
    if (new Set(keys.map(key => key.kid)).size !== keys.length) throw new Error('two keys have the same kid')
    return keys
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`)
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** A secret that others on this machine can read is none. */
function readSecret(path: string): string {
  const content = read(path)
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) !== 0)
    throw new Error(`${path} can be read by others (mode ${mode.toString(8)}): chmod 600 ${path}`)
  return content
}

/** Not with the parser's own words: they can quote what stands in the file. */
function parse<T>(path: string, parser: () => T): T {
  try {
    return parser()
  } catch {
    throw new Error(`${path} does not hold what it should`)
  }
}
