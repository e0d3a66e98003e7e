// Production mode, NODE_ENV=production: the server does not start with settings that expose secrets, and reports all of them
// together. Otherwise each is a warning and an event. Demo certificates are rejected in production only.
import type { FastifyBaseLogger } from 'fastify'
import { findForeignOwner, findReaders } from '../files/file-access.ts'
import { type CertificateBlocks, parseCertificates } from '../files/pem.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { isDemoCertificate } from '../pki/demo.ts'
import type { Audit } from '../server/record-events.ts'
import { secretPath } from '../settings/forms.ts'
import { type Settings, SettingsError, settingsTable } from '../settings/settings.ts'
import type { TlsMaterial } from '../tls/options.ts'
import { type Exposure, findExposures } from './exposures.ts'

interface Process {
  readonly env: NodeJS.ProcessEnv
  readonly execArgv: readonly string[]
}

/** Where a server's certificate and authorities come from when no file has them. */
type Material = Pick<TlsMaterial, 'cert' | 'ca'>

/**
 * Finds everything that exposes secrets. `keysFile` contains the signing keys in use, `material` the certificate and the
 * authorities; without it the files of the settings contain them.
 * @throws SettingsError that lists all of it, in production.
 */
export function enforceProductionMode(
  settings: Settings,
  { env, execArgv }: Process,
  keysFile: string | undefined,
  material?: Material,
): readonly Exposure[] {
  const exposures = findAllExposures(settings, { env, execArgv }, keysFile, material)
  process.report.excludeEnv = true // in case a report is written nevertheless
  if (!isProduction(env)) return exposures
  if (exposures.length > 0)
    throw new SettingsError(exposures.map(({ sentence }) => `with NODE_ENV=production, ${sentence}`))
  return []
}

export function isProduction({ NODE_ENV }: NodeJS.ProcessEnv): boolean {
  return NODE_ENV === 'production'
}

/** Finds everything that exposes secrets, and in production also demo and invalid certificates. Changes nothing. */
export function findAllExposures(
  settings: Settings,
  { env, execArgv }: Process,
  keysFile: string | undefined,
  material?: Material,
): readonly Exposure[] {
  const sources = material === undefined ? describeFiles(settings) : describeMaterial(material)
  return [
    ...findExposures(env, execArgv),
    ...findUnsafeSettings(settings),
    ...findOpenSecrets({ ...settings, signingKeysFile: keysFile }, material !== undefined),
    ...(isProduction(env) ? [...findDemoCertificates(sources), ...findInvalidCertificate(sources[0])] : []),
  ]
}

/** Logs a warning and records an event for each. */
export function reportExposures(
  exposures: readonly Exposure[],
  { log, audit }: { readonly log: FastifyBaseLogger; readonly audit: Pick<Audit, 'settingsUnsafe'> },
): void {
  for (const { name, sentence } of exposures) {
    log.warn(sentence)
    audit.settingsUnsafe(name)
  }
}

function findUnsafeSettings(settings: Settings): Exposure[] {
  return entriesOf(settings)
    .filter(({ name, value, fallback }) => name.startsWith('TLSBOUND_UNSAFE_') && value !== fallback)
    .map(({ name }) => ({ name, sentence: `${name} is on, which is for the demo only: remove it` }))
}

/**
 * Finds secret files that other users can read or change. Ignores missing files. `isKeyInMemory`: the key of the server is in no
 * file.
 */
function findOpenSecrets(settings: Settings, isKeyInMemory: boolean): Exposure[] {
  return entriesOf(settings)
    .filter(({ form, value }) => form === secretPath && typeof value === 'string')
    .filter(({ name }) => !(isKeyInMemory && name === settingsTable.tlsKeyFile.name))
    .flatMap(({ name, value }) =>
      [findReaders, findForeignOwner].flatMap(find => {
        const sentence = unlessMissing(() => find(value as string))
        return sentence === undefined ? [] : { name, sentence: `${name}: ${sentence}` }
      }),
    )
}

/** Certificates of the server or of authorities for clients: their name in messages, and how to load them. */
interface Source {
  readonly name: string
  readonly where: string
  readonly load: () => CertificateBlocks
}

function describeFiles({ tlsCertFile, tlsClientCaFile }: Settings): readonly [Source, Source] {
  const load = (name: string, file: string) => ({ name, where: file, load: () => loadCertificates(file) })
  return [load(settingsTable.tlsCertFile.name, tlsCertFile), load(settingsTable.tlsClientCaFile.name, tlsClientCaFile)]
}

function describeMaterial({ cert, ca }: Material): readonly [Source, Source] {
  const parse = (name: string, pem: string) => ({ name, where: 'memory', load: () => parseCertificates(pem, name) })
  return [parse('tls.cert', cert), parse('tls.ca', ca)]
}

function findDemoCertificates(sources: readonly Source[]): Exposure[] {
  return sources
    .filter(({ load }) => unlessMissing(() => isDemoCertificate(renderCertificates(load()))))
    .map(({ name, where }) => ({
      name,
      sentence: `${name}: ${where} is a demo certificate, whose key others may have: use your own`,
    }))
}

/** Finds a server certificate outside its validity, which every client rejects. */
function findInvalidCertificate({ name, where, load }: Source): Exposure[] {
  const certificate = unlessMissing(() => load()[0].x509)
  if (certificate === undefined) return []
  const { validFromDate, validToDate } = certificate
  const problem =
    validToDate.getTime() <= Date.now()
      ? `expired on ${validToDate.toISOString()}: renew it`
      : validFromDate.getTime() > Date.now()
        ? `is not valid before ${validFromDate.toISOString()}: compare the clocks`
        : undefined
  return problem === undefined ? [] : [{ name, sentence: `${name}: the certificate in ${where} ${problem}` }]
}

function entriesOf(settings: Settings) {
  return Object.entries(settingsTable).map(([key, setting]) => ({ ...setting, value: settings[key as keyof Settings] }))
}

/** Ignores a file that cannot be read: the code that uses it reports that. */
function unlessMissing<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch {
    return undefined
  }
}
