// Loads files as a server does when it starts, in a process of its own: a crash is then the verdict on one entry, not the end
// of the test. Every file is read by the function that the server uses.

import { type Checked, examine } from '../../../src/doctor/doctor.ts'
import {
  openReporterKeys,
  readClientsFile,
  readTlsFiles,
  readTrustedIssuersFile,
  readWebhooksFile,
} from '../../../src/process/files.ts'
import { loadKeyRing } from '../../../src/process/signing-keys.ts'
import { ClientRegistry } from '../../../src/server/clients/registry.ts'
import { createOutsideIssuers } from '../../../src/server/grants/trusted-issuers.ts'
import { readSettings } from '../../../src/settings/settings.ts'
import { mutualTls } from '../../../src/tls/mutual-tls.ts'

export interface Question {
  /** Settings, with the paths of the files. */
  readonly env: Readonly<Record<string, string>>
  /** A token of the issuer whose keys are loaded. */
  readonly token?: string | undefined
  /** A folder of certificates of clients, for the doctor. */
  readonly certs?: string | undefined
}

export interface Answer {
  readonly load: 'loaded' | 'refused'
  /** Why it was refused, as the operator reads it. */
  readonly message: string
  readonly milliseconds: number
  /** Of the whole process, so far. */
  readonly peakMegabytes: number
  /** Whether the token was verified. */
  readonly verified?: boolean | undefined
  /** What the doctor says of the same files, without asking other machines. */
  readonly findings: readonly Checked[]
}

process.on('message', async ({ env, token, certs }: Question) => {
  const start = performance.now()
  let answer: Pick<Answer, 'load' | 'message' | 'verified'>
  try {
    answer = { load: 'loaded', message: '', verified: await load(env, token) }
  } catch (error) {
    answer = { load: 'refused', message: String((error as Error).message) }
  }
  const options = { env: { ...env }, execArgv: [], user: process.geteuid?.(), now: Date.now(), isOnline: false, certs }
  const findings = await examine(options)
  const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1024)
  process.send?.({ ...answer, findings, milliseconds: performance.now() - start, peakMegabytes } satisfies Answer)
})

async function load(env: Question['env'], token: string | undefined): Promise<boolean | undefined> {
  const settings = readSettings(env)
  if (env.TLSBOUND_TLS_CERT_FILE !== undefined) mutualTls(readTlsFiles(settings))(() => {}).close()
  if (env.TLSBOUND_CLIENTS_FILE !== undefined) new ClientRegistry(readClientsFile(env.TLSBOUND_CLIENTS_FILE))
  if (settings.signingKeysFile !== undefined) await loadKeyRing(settings.signingKeysFile, Date.now() / 1000)
  openReporterKeys(settings)
  readWebhooksFile(settings.webhooksFile)
  if (settings.trustedIssuersFile === undefined) return undefined
  const issuers = createOutsideIssuers(readTrustedIssuersFile(settings.trustedIssuersFile, settings.issuer))
  if (token === undefined) return undefined
  return issuers.read(token).then(
    () => true,
    () => false,
  )
}
