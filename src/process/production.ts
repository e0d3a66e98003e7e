// Production mode, NODE_ENV=production: whatever would let secrets out keeps the server from starting, all of it named at once.
// Elsewhere each is a warning and an event, but for demo certificates, which are for elsewhere.
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
 * Finds everything that would let secrets out; `keysFile` has the signing keys in use.
 * @throws SettingsError naming all of it, in production.
 */
export function enforceProductionMode(
  settings: Settings,
  { env, execArgv }: Process,
  keysFile: string,
): readonly Exposure[] {
  const exposures = findAllExposures(settings, { env, execArgv }, keysFile)
  process.report.excludeEnv = true // should a report be written all the same
  if (!isProduction(env)) return exposures
  if (exposures.length > 0)
    throw new SettingsError(exposures.map(({ sentence }) => `with NODE_ENV=production, ${sentence}`))
  return []
}

export function isProduction({ NODE_ENV }: NodeJS.ProcessEnv): boolean {
  return NODE_ENV === 'production'
}

/** Finds everything that would let secrets out, and in production what is for elsewhere. Changes nothing. */
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

/** Warns of each, and makes an event of it. */
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
    .map(({ name }) => ({ name, sentence: `${name} is on, which is for the demo: leave it out` }))
}

/** Secrets that somebody else can read or change. Files that are not there are no matter of ours. */
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
      sentence: `${name}: ${file} is of the demo, whose keys anybody may have: give one of your own`,
    }))
}

/** A server's certificate outside its validity, which every client refuses. */
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

/** What cannot be read is said where it is read for use. */
function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
