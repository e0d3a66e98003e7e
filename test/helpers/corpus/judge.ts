// Loads files as a server does when it starts, and runs the commands on the same files: `doctor`, `inspect` and `scan`. It is
// a process, so that a crash is the verdict on one entry, not the end of the test. Every file is loaded by the function of
// the server or the command.

import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { inspectSigned } from '../../../src/cli/inspect.ts'
import { type Checked, examine } from '../../../src/doctor/doctor.ts'
import {
  openReporterKeys,
  readClientsFile,
  readTlsFiles,
  readTrustedIssuersFile,
  readWebhooksFile,
} from '../../../src/process/files.ts'
import { loadKeyRing } from '../../../src/process/signing-keys.ts'
import { readFiles } from '../../../src/scan/files.ts'
import { scan } from '../../../src/scan/scan.ts'
import { ClientRegistry } from '../../../src/server/clients/registry.ts'
import { createOutsideIssuers } from '../../../src/server/grants/trusted-issuers.ts'
import { parseSettings } from '../../../src/settings/settings.ts'
import { mutualTls } from '../../../src/tls/mutual-tls.ts'

export interface Question {
  /** Settings, with the paths of the files. */
  readonly env: Readonly<Record<string, string>>
  /** A token of the issuer whose keys are loaded. */
  readonly token?: string | undefined
  /** A folder of client certificates for the doctor. */
  readonly certs?: string | undefined
  /** Certificate and key of a client, to inspect a token that is bound to them. */
  readonly client?: { readonly cert: string; readonly key: string; readonly ca: string } | undefined
  /** A folder to scan. */
  readonly folder?: string | undefined
}

export interface Answer {
  readonly load: 'loaded' | 'refused'
  /** The reason of the refusal, as the operator reads it. */
  readonly message: string
  readonly milliseconds: number
  /** Of the whole process so far. */
  readonly peakMegabytes: number
  /** Whether the token was verified. */
  readonly verified?: boolean | undefined
  /** What the doctor reports about the same files, without network access. */
  readonly findings: readonly Checked[]
  /** Whether `inspect` finds the certificate in the token, or why it cannot. */
  readonly inspected?: boolean | string | undefined
  /** What `scan` finds, and what it cannot read. */
  readonly scanned?: { readonly findings: number; readonly problems: readonly string[] } | undefined
}

process.on('message', async ({ env, token, certs, client, folder }: Question) => {
  const start = performance.now()
  let answer: Pick<Answer, 'load' | 'message' | 'verified'>
  try {
    answer = { load: 'loaded', message: '', verified: await load(env, token) }
  } catch (error) {
    answer = { load: 'refused', message: String((error as Error).message) }
  }
  const options = { env: { ...env }, execArgv: [], user: process.geteuid?.(), now: Date.now(), isOnline: false, certs }
  const findings = await examine(options)
  const inspected = client && (await inspect(client))
  const scanned = folder === undefined ? undefined : await scanFolder(folder)
  const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1024)
  const milliseconds = performance.now() - start
  process.send?.({ ...answer, findings, inspected, scanned, milliseconds, peakMegabytes } satisfies Answer)
})

async function inspect({ cert, key, ca }: NonNullable<Question['client']>): Promise<boolean | string> {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const confirmation = { 'x5t#S256': thumbprintOf(cert) }
  const token = `${encode({ alg: 'EdDSA', typ: 'at+jwt' })}.${encode({ sub: 'alice', cnf: confirmation })}.AAAA`
  try {
    const { report } = await inspectSigned(token, { cert, key, ca, offline: true })
    return report.certificate?.named ?? 'no certificate'
  } catch (error) {
    return String((error as Error).message)
  }
}

function thumbprintOf(cert: string): string {
  try {
    return createHash('sha256')
      .update(new X509Certificate(readFileSync(cert)).raw)
      .digest('base64url')
  } catch {
    return ''
  }
}

async function scanFolder(folder: string): Promise<NonNullable<Answer['scanned']>> {
  const problems: string[] = []
  const onProblem = (problem: string) => void problems.push(problem)
  const { findings } = await scan(readFiles(folder, onProblem), Math.floor(Date.now() / 1000), onProblem)
  return { findings: findings.length, problems }
}

async function load(env: Question['env'], token: string | undefined): Promise<boolean | undefined> {
  const settings = parseSettings(env)
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
