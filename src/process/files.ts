// Loads and creates the files that the settings name. Every error message names the file and never quotes it.

import { type KeyObject, randomBytes } from 'node:crypto'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { parseCertificateProxies } from '../core/certificate-proxy.ts'
import { type ParsedRegistrations, parseClientsInSteps } from '../core/client.ts'
import { parseReporterKeys } from '../core/leak-signature.ts'
import { atOnce, type Steps } from '../core/steps.ts'
import { parseTrustedIssuers } from '../core/trusted-issuer.ts'
import { readRegularFile } from '../files/file-access.ts'
import { FileProblem, quoteForShell } from '../files/file-problem.ts'
import { parseJsonInSteps, parseJsonText } from '../files/json-text.ts'
import { checkServerCertificate } from '../files/own-certificate.ts'
import { type CertificateBlocks, renderRevocationList } from '../files/pem.ts'
import {
  loadCertificates,
  loadPrivateKey,
  loadRevocationLists,
  renderCertificates,
  renderPrivateKey,
} from '../files/pem-files.ts'
import { parseRoutes, type Route, type RouteRules } from '../gateway/routes.ts'
import type { LoadedRoute, UpstreamMaterial } from '../gateway/upstream.ts'
import { type IssuerAlgorithm, parseKeySet } from '../keys/key-set.ts'
import type { KnownReceiver } from '../notify/line.ts'
import { parseReceivers } from '../notify/receiver.ts'
import type { OutsideIssuer } from '../server/grants/trusted-issuers.ts'
import { createRemoteReporterKeys, type FindReporterKey } from '../server/incidents/reporter-keys.ts'
import type { Settings } from '../settings/settings.ts'
import { requireAnyAuthority } from '../tls/authority-standing.ts'
import type { TlsMaterial } from '../tls/options.ts'
import { loadTrust, type Trust, TrustProblem } from '../tls/trust.ts'
import { resolvedProfiles } from '../verify/issuer-profiles.ts'

/** Maximum size of a JSON file in octets: tens of thousands of registrations. */
export const mostJsonOctets = 16_777_216

/** The server's certificate chain and key. */
export interface OwnCertificate {
  /** The server's certificate, then the intermediate certificates. */
  readonly chain: CertificateBlocks
  readonly key: KeyObject
}

/** Loads certificate, chain and key, and verifies that clients can accept them. @throws FileProblem */
export function readOwnCertificate(settings: Settings): OwnCertificate {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsKeyPassphraseFile: passphraseFile } = settings
  const chain = loadCertificates(certFile)
  const passphraseSetting = 'TLSBOUND_TLS_KEY_PASSPHRASE_FILE'
  const key = loadPrivateKey(keyFile, { isSecret: true, passphraseFile, passphraseSetting })
  checkServerCertificate(chain, key, { certFile, keyFile })
  checkWithOpenSsl(renderCertificates(chain), renderPrivateKey(key), certFile)
  return { chain, key }
}

/** The trusted authorities and revocation lists, parsed and re-encoded as PEM. */
export interface TrustFiles {
  readonly trust: Trust
  readonly ca: string
  readonly crl: string | undefined
  /** The line number of each authority. */
  readonly lines: readonly number[]
}

/** Loads authorities and revocation lists, and verifies that OpenSSL applies all of them. @throws FileProblem */
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
 * Loads the TLS files, and the list of proxies. The result is re-encoded block by block, so that OpenSSL sees exactly the
 * blocks that were parsed here.
 * @throws FileProblem, or Error with every problem of the list of proxies.
 */
export function readTlsFiles(settings: Settings): TlsMaterial {
  const { chain, key } = readOwnCertificate(settings)
  const { ca, crl } = readTrustFiles(settings)
  const { clientCertFrom: proxiesFile } = settings
  return {
    ...{ cert: renderCertificates(chain), key: renderPrivateKey(key), ca, crl },
    ...(proxiesFile !== undefined && { clientCertFrom: readProxiesFile(proxiesFile) }),
  }
}

/** Verifies that OpenSSL, as configured here, accepts a certificate, its key and its chain. @throws FileProblem */
function checkWithOpenSsl(cert: string, key: string, certFile: string): void {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const { reason = 'unknown reason' } = error as { reason?: string }
    throw new FileProblem(certFile, {
      found: `OpenSSL rejects this certificate, its key or its chain: ${reason}`,
      remedy: 'use keys of 2048 bits (RSA) or on P-256, and signatures with SHA-256, in the whole chain',
    })
  }
}

/**
 * Loads and validates the list of proxies that state the certificates of their clients.
 * @throws Error with every problem of the list.
 */
export function readProxiesFile(path: string): readonly object[] {
  return loadList(path, (list, problems) => {
    parseCertificateProxies(list, problems)
    return list as readonly object[]
  })
}

/** Loads and validates the client registrations. `audience`: that of this server. @throws Error with every problem of the list. */
export function readClientsFile(path: string, audience?: string): ParsedRegistrations {
  return atOnce(readClientsInSteps(path, audience))
}

/** `readClientsFile` in steps. */
export function* readClientsInSteps(path: string, audience?: string): Steps<ParsedRegistrations> {
  const problems: string[] = []
  const content = readRegularFile(path, { most: mostJsonOctets })
  yield
  const list = yield* parseJsonInSteps(content, path, 'array')
  const clients = yield* parseClientsInSteps(list, problems, audience)
  requireNone(problems, path)
  return { list: list as readonly object[], clients }
}

/**
 * Loads the trusted issuers and the key files that they name. Relative paths are relative to the list.
 * @throws Error with every problem of the list and of these files.
 */
export function readTrustedIssuersFile(path: string, ownIssuer: string): OutsideIssuer[] {
  const context = { ours: ownIssuer, profiles: resolvedProfiles }
  return loadList(path, (list, problems) =>
    parseTrustedIssuers(list, context, problems).flatMap(rules =>
      collectProblem(problems, `issuer ${JSON.stringify(rules.issuer)}`, () => {
        const { keys } = rules
        if ('file' in keys) return { rules, keys: readPublicKeys(resolve(dirname(path), keys.file), rules.algorithms) }
        return { rules, keys: { uri: keys.uri, ca: readAuthorities(keys.caFile, path) } }
      }),
    ),
  )
}

/**
 * Loads the webhooks and the authority files that they name. Relative paths are relative to the list. Without a list there
 * are no webhooks.
 * @throws Error with every problem of the list and of these files.
 */
export function readWebhooksFile(path: string | undefined): KnownReceiver[] {
  if (path === undefined) return []
  const isSecret = true
  return loadList(
    path,
    (list, problems) =>
      parseReceivers(list, problems).flatMap(receiver =>
        collectProblem(problems, `webhook at ${receiver.url.host}`, () => {
          return { ...receiver, ca: readAuthorities(receiver.caFile, path) }
        }),
      ),
    { isSecret },
  )
}

/**
 * Loads the routes of a gateway and the certificates and keys that they name. Relative paths are relative to the list.
 * @throws Error with every problem of the list and of these files.
 */
export function readGatewayFile(path: string, rules: RouteRules): LoadedRoute[] {
  return loadList(path, (list, problems) =>
    parseRoutes(list, problems, rules).flatMap(route =>
      collectProblem(problems, `route ${route.name}`, () => ({ ...route, material: readUpstreamFiles(route, path) })),
    ),
  )
}

function readUpstreamFiles({ caFile, certFile, keyFile }: Route, list: string): UpstreamMaterial {
  const ca = readAuthorities(caFile, list)
  if (certFile === undefined || keyFile === undefined) return { ca, cert: undefined, key: undefined }
  const [certPath, keyPath] = [resolve(dirname(list), certFile), resolve(dirname(list), keyFile)]
  const chain = loadCertificates(certPath)
  const key = loadPrivateKey(keyPath, { isSecret: true })
  if (!chain[0].x509.checkPrivateKey(key))
    throw new FileProblem(keyPath, { found: `this key does not belong to the certificate in ${certPath}` })
  return { ca, cert: renderCertificates(chain), key: renderPrivateKey(key) }
}

/** Loads a list and the files that its entries name. @throws Error with every problem, one per line. */
function loadList<T>(path: string, parse: (list: unknown, problems: string[]) => T, options: JsonOptions = {}): T {
  const problems: string[] = []
  const value = parse(readJsonFile(path, 'array', options), problems)
  requireNone(problems, path)
  return value
}

/** @throws Error with every problem of the list, one per line. */
function requireNone(problems: readonly string[], path: string): void {
  if (problems.length > 0) throw new Error(`${path}:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
}

/** Returns the result of `read`, or adds its error to the problems. */
function collectProblem<T>(problems: string[], entry: string, read: () => T): T | [] {
  try {
    return read()
  } catch (error) {
    problems.push(`${entry}: ${(error as Error).message}`)
    return []
  }
}

/** Loads a file of authorities, whose path is relative to `list`, as PEM. Undefined if none is named. */
function readAuthorities(caFile: string | undefined, list: string): string | undefined {
  return caFile === undefined ? undefined : renderCertificates(loadCertificates(resolve(dirname(list), caFile)))
}

/**
 * Reads a key set, of which one or more keys are for the algorithms; the others are left out, and named in the log.
 * @throws FileProblem, naming a key that must not be in a file that is no secret.
 */
function readPublicKeys(path: string, algorithms: readonly string[]): { readonly keys: readonly unknown[] } {
  const document = readJsonFile(path, 'object') as { readonly keys?: unknown }
  const keys = Array.isArray(document.keys) ? document.keys : []
  const secret = keys.findIndex(key => typeof key === 'object' && key !== null && ('d' in key || 'k' in key))
  if (secret >= 0)
    throw new FileProblem(path, {
      position: `key number ${secret + 1}`,
      found: 'this is a private or secret key, a public one is needed here',
      remedy: 'give the key set that the issuer publishes, and replace that key: it was in a file that is no secret',
    })
  try {
    parseKeySet(document, algorithms as readonly IssuerAlgorithm[])
  } catch (error) {
    throw new FileProblem(path, {
      found: (error as Error).message,
      remedy: `give algorithms that its keys are for; allowed are ${algorithms.join(', ')}`,
    })
  }
  return { keys }
}

/**
 * Creates the finder of reporters' keys for signed leak reports. Undefined: no signed reports are accepted. @throws
 * FileProblem
 */
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

/** Loads the ops token. @throws FileProblem when it is missing, readable by others, or too short. */
export function readOpsToken(path: string): string {
  const token = readRegularFile(path, { most: 4096, isSecret: true }).toString('latin1').trim()
  if (/^[\w.~+/-]{43,}=*$/.test(token)) return token
  throw new FileProblem(path, {
    found: 'this is not an ops token: one line of at least 43 characters of A-Z, a-z, 0-9 and -._~+/',
    remedy: `let the server create one: rm ${quoteForShell(path)}, and start it again`,
  })
}

/** Loads the ops token. Creates one of 256 bits if the file is missing. */
export function ensureOpsToken(path: string): string {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  }
  return readOpsToken(path)
}

interface JsonOptions {
  /** Rejects a file that other users of this machine can read. */
  readonly isSecret?: boolean
}

/** Loads a JSON file whose outermost value has the given type. @throws FileProblem, which quotes nothing. */
export function readJsonFile(
  path: string,
  wanted: 'array' | 'object',
  { isSecret = false }: JsonOptions = {},
): unknown {
  return parseJsonText(readRegularFile(path, { most: mostJsonOctets, isSecret }), path, wanted)
}

/** Adds the file to the error of a parser that does not know it. The parser must not quote the content. */
function withFile<T>(path: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof FileProblem) throw error
    throw new FileProblem(path, { found: (error as Error).message })
  }
}
