// Reads and makes the files that the settings point to. Every problem is one sentence that names the file.

import { createPrivateKey, createPublicKey, type JsonWebKey, randomBytes, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { JSONWebKeySet } from 'jose'
import { readClients } from './core/client.ts'
import { readReporterKeys } from './core/leak-signature.ts'
import { readTrustedIssuers } from './core/trusted-issuer.ts'
import { findReaders } from './file-access.ts'
import { createRemoteReporterKeys, type FindReporterKey } from './http/leak-keys.ts'
import type { OutsideIssuer } from './http/outside-issuers.ts'
import type { TlsMaterial } from './http/tls.ts'
import { parseMaterial } from './http/tls.ts'
import { loadTrust, TrustProblem } from './http/trust.ts'
import type { KnownReceiver } from './notify/line.ts'
import { readReceivers } from './notify/receiver.ts'
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
  const { authorities, lists } = parse(settings.tlsClientCrlFile ?? settings.tlsClientCaFile, () =>
    parseMaterial(material),
  )
  try {
    loadTrust(authorities, lists)
  } catch (error) {
    if (!(error instanceof TrustProblem)) throw error
    const file = error.of === 'lists' ? settings.tlsClientCrlFile : settings.tlsClientCaFile
    throw new Error(`${file}: ${error.message}`)
  }
  return material
}

/** Reads the client registrations, which are then in order. @throws Error with every problem of the list. */
export function readClientsFile(path: string): readonly object[] {
  const problems: string[] = []
  const text = read(path)
  const registrations = parse(path, () => JSON.parse(text))
  readClients(registrations, problems)
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
  return registrations
}

/**
 * Reads the outside issuers and the files that they name, which lie beside the list unless a path says otherwise.
 * @throws Error with every problem of the list and of these files.
 */
export function readTrustedIssuersFile(path: string, ours: string): OutsideIssuer[] {
  const problems: string[] = []
  const text = read(path)
  const list = parse(path, () => JSON.parse(text) as unknown)
  const beside = (name: string) => resolve(dirname(path), name)
  const issuers = readTrustedIssuers(list, ours, problems).flatMap(rules => {
    const { keys } = rules
    try {
      if ('file' in keys) return { rules, keys: { jwks: readPublicKeys(beside(keys.file)) } }
      const caFile = keys.caFile === undefined ? undefined : beside(keys.caFile)
      const ca = caFile === undefined ? undefined : read(caFile)
      if (ca !== undefined) parse(caFile as string, () => new X509Certificate(ca))
      return { rules, keys: { uri: keys.uri, ca } }
    } catch (error) {
      problems.push(`issuer ${JSON.stringify(rules.issuer)}: ${(error as Error).message}`)
      return []
    }
  })
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
  return issuers
}

/**
 * Reads the webhooks and the authorities that they name, whose files lie beside the list; no list, no webhooks.
 * @throws Error with every problem of the list and of these files.
 */
export function readWebhooksFile(path: string | undefined): KnownReceiver[] {
  if (path === undefined) return []
  const problems: string[] = []
  const text = readSecret(path)
  const list = parse(path, () => JSON.parse(text) as unknown)
  const receivers = readReceivers(list, problems).flatMap(receiver => {
    if (receiver.caFile === undefined) return { ...receiver, ca: undefined }
    try {
      const caFile = resolve(dirname(path), receiver.caFile)
      const ca = read(caFile)
      parse(caFile, () => new X509Certificate(ca))
      return { ...receiver, ca }
    } catch (error) {
      problems.push(`webhook at ${receiver.url.host}: ${(error as Error).message}`)
      return []
    }
  })
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
  return receivers
}

function readPublicKeys(path: string): JSONWebKeySet {
  const text = read(path)
  return parse(path, () => {
    const { keys } = JSON.parse(text) as JSONWebKeySet
    if (keys.length === 0 || keys.some(key => 'd' in key || 'k' in key)) throw new Error('not public keys')
    for (const key of keys) createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
    return { keys }
  })
}

/** Whose signed reports of leaked tokens are taken; undefined: nobody's. @throws Error naming a file that cannot be used. */
export function openReporterKeys({ leakKeysFile, leakKeysUrl }: Settings): FindReporterKey | undefined {
  if (leakKeysUrl !== undefined) return createRemoteReporterKeys({ uri: leakKeysUrl })
  if (leakKeysFile === undefined) return undefined
  const load = () => {
    const text = read(leakKeysFile)
    return parse(leakKeysFile, () => readReporterKeys(JSON.parse(text)))
  }
  let keys = load()
  const reload = () => {
    keys = load()
  }
  return Object.assign((identifier: string) => keys.get(identifier), { reload })
}

/** Reads the ops token. @throws Error when it is missing, can be read by others, or is no secret by its length. */
export function readOpsToken(path: string): string {
  const token = readSecret(path).trim()
  if (!/^[\w.~+/-]{43,}=*$/.test(token)) throw new Error(`${path} does not hold what it should`)
  return token
}

/** Reads the ops token; makes one of 256 bits first where it is missing. */
export function ensureOpsToken(path: string): string {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  }
  return readOpsToken(path)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** A secret that others on this machine can read is none. */
export function readSecret(path: string): string {
  const content = read(path)
  const problem = findReaders(path)
  if (problem !== undefined) throw new Error(problem)
  return content
}

/** Not with the parser's own words: they can quote what stands in the file. */
export function parse<T>(path: string, parser: () => T): T {
  try {
    return parser()
  } catch {
    throw new Error(`${path} does not hold what it should`)
  }
}
