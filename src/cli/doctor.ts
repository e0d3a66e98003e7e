// tlsbound doctor: what is wrong with settings and files, or with a running server, and what to do about it.
import { readIdentityFiles } from '../client/client.ts'
import { type Checked, examine, examineOutside } from '../doctor/doctor.ts'
import { hasFailure, sumUp, writeJson, writeText } from '../doctor/report.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { httpsUrl } from '../settings/forms.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { findIdentity, identityHelp, identityOptions } from './identity-options.ts'
import { say } from './say.ts'

export const command: Command = {
  help: `Usage: tlsbound doctor [--certs FOLDER] [--json]
       tlsbound doctor --url ISSUER-URL [OPTIONS]

Reads settings and files as the server would, and says of each what was found and what to do: ✓ good, ! look at it,
✗ does not work. Run it with the environment, in the folder and as the user of the server. It writes nothing.
It connects to issuers, webhooks and the database. With --url it looks at a running server from outside instead.

  --certs FOLDER          also says which certificate in this folder is which client's, and why others match no client
  --url URL               the issuer of a running server: TLS versions, resumption, renegotiation, metadata, keys,
                          clock, and what it thinks of the certificate given with --cert
  --json                  the findings as JSON
${identityHelp}
Exit 0 if nothing fails, 1 if something does, 2 for wrong usage.
`,
  options: {
    certs: { type: 'string' },
    url: { type: 'string' },
    json: { type: 'boolean' },
    ...identityOptions,
  },
  async run(values) {
    const { certs } = values
    if (values.url !== undefined && certs !== undefined) throw new UsageError('--certs does not go with --url')
    const findings = values.url === undefined ? await examineHere(true, certs) : await lookAt(values)
    report(findings, values.json === true)
  },
}

/** Examines the server that this environment describes. */
export function examineHere(isOnline: boolean, certs?: string | boolean): Promise<Checked[]> {
  const { env, execArgv } = process
  const user = process.geteuid?.()
  return examine({
    env,
    execArgv,
    user,
    now: Date.now(),
    isOnline,
    certs: certs === undefined ? undefined : String(certs),
  })
}

/** Writes a report to stdout and its sum to stderr, and sets the exit code. */
export function report(findings: readonly Checked[], isJson: boolean): void {
  process.stdout.write(isJson ? writeJson(findings) : writeText(findings))
  if (!isJson) say(sumUp(findings))
  if (hasFailure(findings)) process.exitCode = 1
}

async function lookAt(values: Values): Promise<Checked[]> {
  const url = httpsUrl.read(String(values.url))
  if (url === undefined) throw new UsageError(`--url must be ${httpsUrl.words}`)
  const { files, caFile } = findIdentity(values)
  const identity = files && readIdentityFiles(files)()
  const ca = caFile === undefined ? undefined : renderCertificates(loadCertificates(caFile))
  return examineOutside({ url, identity, ca, now: Date.now() })
}
