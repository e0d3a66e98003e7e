// Reads and makes the files that the settings point to. Every problem is a sentence that names the file, and never quotes it.

import { createPublicKey, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { JSONWebKeySet } from 'jose'
import { parseClients } from '../core/client.ts'
import { findKeySetProblem } from '../core/issuer-key.ts'
import { parseReporterKeys } from '../core/leak-signature.ts'
import { parseTrustedIssuers } from '../core/trusted-issuer.ts'
import { readRegularFile } from '../files/file-access.ts'
import { FileProblem, quoteForShell } from '../files/file-problem.ts'
import { parseJsonText } from '../files/json-text.ts'
import { checkServerCertificate } from '../files/own-certificate.ts'
import { type CertificateBlocks, renderRevocationList } from '../files/pem.ts'
import {
  loadCertificates,
  loadPrivateKey,
  loadRevocationLists,
  renderCertificates,
  renderPrivateKey,
} from '../files/pem-files.ts'
import type { KnownReceiver } from '../notify/line.ts'
import { readReceivers } from '../notify/receiver.ts'
import type { OutsideIssuer } from '../server/grants/trusted-issuers.ts'
import { createRemoteReporterKeys, type FindReporterKey } from '../server/incidents/reporter-keys.ts'
import type { Settings } from '../settings/settings.ts'
import { requireAnyAuthority } from '../tls/authority-standing.ts'
import type { TlsMaterial } from '../tls/options.ts'
import { loadTrust, type Trust, TrustProblem } from '../tls/trust.ts'

/** Octets that a JSON file may have: tens of thousands of registrations. */
export const mostJsonOctets = 16_777_216

/** What the server presents. */
export interface OwnCertificate {
  /** The server's certificate, then the intermediate ones. */
  readonly chain: CertificateBlocks
  readonly key: KeyObject
}

/** Reads certificate, chain and key, and checks that clients can accept them. @throws FileProblem */
export function readOwnCertificate(settings: Settings): OwnCertificate {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsKeyPassphraseFile: passphraseFile } = settings
  const chain = loadCertificates(certFile)
  const passphraseSetting = 'TLSBOUND_TLS_KEY_PASSPHRASE_FILE'
  const key = loadPrivateKey(keyFile, { isSecret: true, passphraseFile, passphraseSetting })
  checkServerCertificate(chain, key, { certFile, keyFile })
  checkWithOpenSsl(renderCertificates(chain), renderPrivateKey(key), certFile)
  return { chain, key }
}

/** Whom the server trusts, and the same as PEM, written anew. */
export interface TrustFiles {
  readonly trust: Trust
  readonly ca: string
  readonly crl: string | undefined
  /** The line of each authority. */
  readonly lines: readonly number[]
}

/** Reads authorities and revocation lists, and checks that OpenSSL applies all of them. @throws FileProblem */
export function readTrustFiles({ tlsClientCaFile: caFile, tlsClientCrlFile: crlFile }: Settings): TrustFiles {
  const authorities = loadCertificates(caFile)
  const lists = crlFile === undefined ? [] : loadRevocationLists(crlFile)
  try {
    const trust = loadTrust(
      authorities.map(({ x509 }) => x509),
      lists.map(({ der }) => der),
    )
    requireAnyAuthority(trust)
    const crl = crlFile === undefined ? undefined : lists.map(({ der }) => renderRevocationList(der)).join('')
    return { trust, ca: renderCertificates(authorities), crl, lines: authorities.map(({ line }) => line) }
  } catch (error) {
    if (!(error instanceof TrustProblem)) throw error
    const [file, blocks] = error.of === 'lists' ? [crlFile ?? caFile, lists] : [caFile, authorities]
    const line = error.index === undefined ? undefined : blocks[error.index]?.line
    throw new FileProblem(file, { ...(line !== undefined && { position: `line ${line}` }), found: error.message })
  }
}

/**
 * Reads the TLS files. What is returned is written anew, block by block: OpenSSL reads of it what was counted here.
 * @throws FileProblem
 */
export function readTlsFiles(settings: Settings): TlsMaterial {
  const { chain, key } = readOwnCertificate(settings)
  const { ca, crl } = readTrustFiles(settings)
  return { cert: renderCertificates(chain), key: renderPrivateKey(key), ca, crl }
}

/** @throws FileProblem when OpenSSL, as it is configured here, does not use a certificate, its key or those behind it. */
function checkWithOpenSsl(cert: string, key: string, certFile: string): void {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const { reason = 'unknown reason' } = error as { reason?: string }
    throw new FileProblem(certFile, {
      found: `OpenSSL does not use this certificate, its key, or one behind it: ${reason}`,
      remedy: 'use keys of 2048 bits (RSA) or on P-256, and signatures with SHA-256, in the whole chain',
    })
  }
}

/** Reads the client registrations, which are then valid. @throws Error with every problem of the list. */
export function readClientsFile(path: string): readonly object[] {
  return loadList(path, (list, problems) => {
    parseClients(list, problems)
    return list as readonly object[]
  })
}

/**
 * Reads the outside issuers and the files that they name, which lie beside the list unless a path says otherwise.
 * @throws Error with every problem of the list and of these files.
 */
export function readTrustedIssuersFile(path: string, ours: string): OutsideIssuer[] {
  return loadList(path, (list, problems) =>
    parseTrustedIssuers(list, ours, problems).flatMap(rules =>
      collectProblem(problems, `issuer ${JSON.stringify(rules.issuer)}`, () => {
        const { keys } = rules
        if ('file' in keys)
          return { rules, keys: { jwks: readPublicKeys(resolve(dirname(path), keys.file), rules.algorithms) } }
        return { rules, keys: { uri: keys.uri, ca: readAuthorities(keys.caFile, path) } }
      }),
    ),
  )
}

/**
 * Reads the webhooks and the authorities that they name, whose files lie beside the list; no list, no webhooks.
 * @throws Error with every problem of the list and of these files.
 */
export function readWebhooksFile(path: string | undefined): KnownReceiver[] {
  if (path === undefined) return []
  const isSecret = true
  return loadList(
    path,
    (list, problems) =>
      readReceivers(list, problems).flatMap(receiver =>
        collectProblem(problems, `webhook at ${receiver.url.host}`, () => {
          return { ...receiver, ca: readAuthorities(receiver.caFile, path) }
        }),
      ),
    { isSecret },
  )
}

/** Reads a list of entries with what it names. @throws Error with every problem, each in a line of its own. */
function loadList<T>(path: string, parse: (list: unknown, problems: string[]) => T, options: JsonOptions = {}): T {
  const problems: string[] = []
  const value = parse(readJsonFile(path, 'array', options), problems)
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
  return value
}

/** Returns what `read` does; its problem, if any, joins the others. */
function collectProblem<T>(problems: string[], entry: string, read: () => T): T | [] {
  try {
    return read()
  } catch (error) {
    problems.push(`${entry}: ${(error as Error).message}`)
    return []
  }
}

/** The authorities of a file whose path begins beside `list`, as PEM; undefined where none is named. */
function readAuthorities(caFile: string | undefined, list: string): string | undefined {
  return caFile === undefined ? undefined : renderCertificates(loadCertificates(resolve(dirname(list), caFile)))
}

/** Reads a JWKS of public keys, of which one or more are for the algorithms. @throws FileProblem, naming the key. */
function readPublicKeys(path: string, algorithms: readonly string[]): JSONWebKeySet {
  const { keys } = readJsonFile(path, 'object') as { readonly keys?: unknown }
  if (!Array.isArray(keys) || keys.length === 0)
    throw new FileProblem(path, { found: 'keys must be a list of at least one JSON Web Key' })
  keys.forEach((key: unknown, index) => {
    const position = `key number ${index + 1}`
    if (typeof key !== 'object' || key === null)
      throw new FileProblem(path, { position, found: 'must be a JSON object' })
    if ('d' in key || 'k' in key)
      throw new FileProblem(path, {
        position,
        found: 'this is a private or secret key, a public one is needed here',
        remedy: 'give the key set that the issuer publishes, and replace that key: it was in a file that is no secret',
      })
    const { kid, kty } = key as { readonly kid?: unknown; readonly kty?: unknown }
    const twin = keys.findIndex((other: unknown) => isKeyOf(other, kid, kty))
    if (kid !== undefined && twin < index)
      throw new FileProblem(path, {
        position,
        found: `key number ${twin + 1} has the same kid and kty, so that no token of either would be verified`,
        remedy: 'remove one of them, or give each key a kid of its own',
      })
    try {
      createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
    } catch {
      throw new FileProblem(path, { position, found: 'this is no public key that OpenSSL can read' })
    }
  })
  const problem = findKeySetProblem(keys, algorithms)
  if (problem !== undefined) throw new FileProblem(path, problem)
  return { keys } as JSONWebKeySet
}

function isKeyOf(key: unknown, kid: unknown, kty: unknown): boolean {
  const other = key as { readonly kid?: unknown; readonly kty?: unknown } | null
  return other?.kid === kid && other?.kty === kty
}

/** Returns whose signed reports of leaked tokens are accepted; undefined: none are. @throws FileProblem */
export function openReporterKeys({ leakKeysFile, leakKeysUrl }: Settings): FindReporterKey | undefined {
  if (leakKeysUrl !== undefined) return createRemoteReporterKeys({ uri: leakKeysUrl })
  if (leakKeysFile === undefined) return undefined
  const load = () => withFile(leakKeysFile, () => parseReporterKeys(readJsonFile(leakKeysFile, 'object')))
  let keys = load()
  const reload = () => {
    keys = load()
  }
  return Object.assign((identifier: string) => keys.get(identifier), { reload })
}

/** Reads the ops token. @throws FileProblem when it is missing, can be read by others, or is no secret by its length. */
export function readOpsToken(path: string): string {
  const token = readRegularFile(path, { most: 4096, isSecret: true }).toString('latin1').trim()
  if (/^[\w.~+/-]{43,}=*$/.test(token)) return token
  throw new FileProblem(path, {
    found: 'this is no ops token, which has at least 43 characters of A-Z, a-z, 0-9 and -._~+/ in one line',
    remedy: `let the server make one: rm ${quoteForShell(path)}, and start it again`,
  })
}

/** Reads the ops token; makes one of 256 bits first where it is missing. */
export function ensureOpsToken(path: string): string {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  }
  return readOpsToken(path)
}

interface JsonOptions {
  /** A file that others on this machine can read is refused. */
  readonly isSecret?: boolean
}

/** Reads a JSON file whose outermost value is of that type. @throws FileProblem, which quotes nothing. */
export function readJsonFile(
  path: string,
  wanted: 'array' | 'object',
  { isSecret = false }: JsonOptions = {},
): unknown {
  return parseJsonText(readRegularFile(path, { most: mostJsonOctets, isSecret }), path, wanted)
}

/** Names the file in the problem of a parser that does not know it; such a parser must not quote it. */
function withFile<T>(path: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof FileProblem) throw error
    throw new FileProblem(path, { found: (error as Error).message })
  }
}
