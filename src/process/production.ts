// Production mode, NODE_ENV=production: the server does not start with settings that expose secrets, and reports all of them
// together. Otherwise each is a warning and an event. Demo certificates are rejected in production only.
import type { Logger } from 'pino'
import { findForeignOwner, findReaders } from '../files/file-access.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { isDemoCertificate } from '../pki/demo.ts'
import type { Audit } from '../server/record-events.ts'
import { secretPath } from '../settings/forms.ts'
import { type Settings, SettingsError, settingsTable } from '../settings/settings.ts'
import { type Exposure, findExposures } from './exposures.ts'

interface Process {
  readonly env: NodeJS.ProcessEnv
  readonly execArgv: readonly string[]
}

/**
 * Finds everything that exposes secrets. `keysFile` contains the signing keys in use.
 * @throws SettingsError that lists all of it, in production.
 */
export function enforceProductionMode(
  settings: Settings,
  { env, execArgv }: Process,
  keysFile: string,
): readonly Exposure[] {
  const exposures = findAllExposures(settings, { env, execArgv }, keysFile)
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
  keysFile: string,
): readonly Exposure[] {
  return [
    ...findExposures(env, execArgv),
    ...findUnsafeSettings(settings),
    ...findOpenSecrets({ ...settings, signingKeysFile: keysFile }),
    ...(isProduction(env) ? [...findDemoCertificates(settings), ...findInvalidCertificate(settings)] : []),
  ]
}

/** Logs a warning and records an event for each. */
export function reportExposures(
  exposures: readonly Exposure[],
  { log, audit }: { readonly log: Logger; readonly audit: Pick<Audit, 'settingsUnsafe'> },
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

/** Finds secret files that other users can read or change. Ignores missing files. */
function findOpenSecrets(settings: Settings): Exposure[] {
  return entriesOf(settings)
    .filter(({ form, value }) => form === secretPath && typeof value === 'string')
    .flatMap(({ name, value }) =>
      [findReaders, findForeignOwner].flatMap(find => {
        const sentence = unlessMissing(() => find(value as string))
        return sentence === undefined ? [] : { name, sentence: `${name}: ${sentence}` }
      }),
    )
}

function findDemoCertificates({ tlsCertFile, tlsClientCaFile }: Settings): Exposure[] {
  const files = { TLSBOUND_TLS_CERT_FILE: tlsCertFile, TLSBOUND_TLS_CLIENT_CA_FILE: tlsClientCaFile }
  return Object.entries(files)
    .filter(([, file]) => unlessMissing(() => isDemoCertificate(renderCertificates(loadCertificates(file)))))
    .map(([name, file]) => ({
      name,
      sentence: `${name}: ${file} is a demo certificate, whose key others may have: use your own`,
    }))
}

/** Finds a server certificate outside its validity, which every client rejects. */
function findInvalidCertificate({ tlsCertFile }: Settings): Exposure[] {
  const name = 'TLSBOUND_TLS_CERT_FILE'
  const certificate = unlessMissing(() => loadCertificates(tlsCertFile)[0].x509)
  if (certificate === undefined) return []
  const { validFromDate, validToDate } = certificate
  const problem =
    validToDate.getTime() <= Date.now()
      ? `ended on ${validToDate.toISOString()}: renew it`
      : validFromDate.getTime() > Date.now()
        ? `is not valid before ${validFromDate.toISOString()}: compare the clocks`
        : undefined
  return problem === undefined ? [] : [{ name, sentence: `${name}: the certificate in ${tlsCertFile} ${problem}` }]
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
