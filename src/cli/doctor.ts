// tlsbound doctor: reports what is wrong with settings and files, or with a running server, and how to correct it.
import { readIdentityFiles } from '../client/client.ts'
import { type Checked, examine, examineOutside } from '../doctor/doctor.ts'
import { hasFailure, sumUp, writeJson, writeText } from '../doctor/report.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { httpsUrl } from '../settings/forms.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { findIdentity, identityNotes, identityOptions } from './identity-options.ts'
import { paint, type Style, writeMessage } from './output.ts'
import { clientVariables } from './variables.ts'

export const command: Command = {
  usage: ['[--certs FOLDER] [--json]', '--url ISSUER-URL [OPTIONS]'],
  description: [
    'Reads settings and files as the server does, connects to the issuers, webhooks and the database that they name, and reports what is wrong and how to correct it. It writes nothing. Run it with the environment, in the folder and as the user of the server.',
    'With --url it examines a running server from outside instead: TLS versions, resumption, renegotiation, metadata, keys, clock, and whether it accepts the certificate given with --cert.',
    'Each line of the report begins with a mark: ✓ valid, ! warning, ✗ failure.',
  ],
  options: [
    {
      name: 'certs',
      value: 'FOLDER',
      help: 'Also reports which certificate in this folder belongs to which client, and why the others match none',
    },
    { name: 'url', value: 'URL', help: 'The issuer URL of a running server to examine from outside' },
    { name: 'json', help: 'Writes the findings as JSON' },
    ...identityOptions,
  ],
  groupNotes: identityNotes,
  failure: 'a check failed',
  examples: [
    'tlsbound doctor',
    'tlsbound doctor --certs certs',
    'tlsbound doctor --url https://localhost:8443 --ca certs/ca.crt --cert certs/alice.crt --key certs/alice.key',
  ],
  async run(values) {
    const { certs } = values
    if (values.url !== undefined && certs !== undefined) throw new UsageError('--certs and --url exclude each other')
    const findings = values.url === undefined ? await examineHere(true, certs) : await examineUrl(values)
    report(findings, values.json === true)
  },
}

/** Examines the server that this environment configures. */
export function examineHere(isOnline: boolean, certs?: string | boolean): Promise<Checked[]> {
  const { env, execArgv } = process
  const user = process.geteuid?.()
  return examine({
    env,
    otherVariables: clientVariables,
    execArgv,
    user,
    now: Date.now(),
    isOnline,
    certs: certs === undefined ? undefined : String(certs),
  })
}

/** Writes a report to stdout and its summary to stderr, and sets the exit code. */
export function report(findings: readonly Checked[], isJson: boolean): void {
  process.stdout.write(isJson ? writeJson(findings) : paintMarks(writeText(findings)))
  if (!isJson) writeMessage(sumUp(findings))
  if (hasFailure(findings)) process.exitCode = 1
}

const markStyles: Readonly<Record<string, Style>> = { '✓': 'green', '!': 'yellow', '✗': 'red' }

function paintMarks(text: string): string {
  return text.replace(/^[✓!✗]/gmu, mark => paint(markStyles[mark] as Style, mark))
}

async function examineUrl(values: Values): Promise<Checked[]> {
  const url = httpsUrl.parse(String(values.url))
  if (url === undefined) throw new UsageError(`--url must be ${httpsUrl.words}`)
  const { files, caFile } = findIdentity(values)
  const identity = files && readIdentityFiles(files)()
  const ca = caFile === undefined ? undefined : renderCertificates(loadCertificates(caFile))
  return examineOutside({ url, identity, ca, now: Date.now() })
}
