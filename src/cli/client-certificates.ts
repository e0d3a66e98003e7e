// The actions of tlsbound clients about a certificate file: from-cert prints its registration, check finds its client.
import type { X509Certificate } from 'node:crypto'
import { usesSecret } from '../core/client.ts'
import { loadCertificates } from '../files/pem-files.ts'
import { buildCertificateReport } from './certificate-report.ts'
import type { Values } from './command.ts'
import type { CallOps } from './ops.ts'
import type { Option } from './option.ts'
import { present } from './option.ts'
import { writeMessage, writeResult } from './output.ts'
import { buildRegistration, compareWithClients, findProblems, type Match, type Mismatch } from './registration.ts'

const group = 'Options of from-cert'

export const registrationOptions: readonly Option[] = [
  { name: 'id', value: 'ID', help: 'The client_id', fallback: 'the name of the certificate', group },
  {
    name: 'scope',
    value: 'SCOPE',
    help: 'The scope that the client may request, as one argument',
    fallback: 'none',
    group,
  },
]

/** Prints the registration of a certificate, and on stderr what to know before it is used. */
export function printRegistration(values: Values, file: string): void {
  const [{ x509 }] = loadCertificates(file)
  const { report } = buildCertificateReport(file)
  const options = present({ id: values.id as string | undefined, scope: values.scope as string | undefined })
  const registration = buildRegistration(x509, report, options)
  writeResult(values, registration, JSON.stringify(registration, null, 2))
  const byName = !('jwks' in registration)
  const [, ...others] = report.registrations
  if (byName && others.length > 0)
    writeMessage(`The certificate has other names. A registration has exactly one: ${others.map(write).join(', ')}`)
  if (!byName)
    writeMessage('Registered with the certificate itself: the client must be registered again when it is renewed.')
  if (!byName && x509.ca)
    writeMessage('The certificate can be that of an authority. Register the certificates of its clients instead.')
  for (const problem of findProblems(x509, byName, Date.now())) writeMessage(`The server rejects it: ${problem}.`)
}

const write = ({ member, value }: { readonly member: string; readonly value: string }) =>
  `${JSON.stringify(member)}: ${JSON.stringify(value)}`

/** Compares a certificate with the clients of the server. The exit code is 1 if the certificate authenticates none of them. */
export async function checkCertificate(call: CallOps, values: Values, file: string): Promise<void> {
  const [{ x509 }] = loadCertificates(file)
  const { clients } = await call('GET', '/admin/clients')
  const { matches, mismatches } = compareWithClients(x509, clients)
  const problems = findProblems(x509, !matches.some(isByCertificate), Date.now())
  const accepted = problems.length === 0 && matches.some(({ disabled }) => !disabled)
  const result = { accepted, matches, problems, mismatches: matches.length === 0 ? mismatches : [] }
  writeResult(values, result, [...describe(matches, result.mismatches, x509), ...problems].join('\n'))
  if (matches.length > 0) writeMessage('Its chain was not verified: tlsbound doctor --certs FOLDER does that.')
  if (!accepted) process.exitCode = 1
}

const isByCertificate = ({ method }: Match) => method === 'self_signed_tls_client_auth'

/** How many mismatches are listed. */
const mostListed = 20

function describe(matches: readonly Match[], mismatches: readonly Mismatch[], { subject }: X509Certificate): string[] {
  if (matches.length > 0) return matches.map(describeMatch)
  const shown = mismatches.slice(0, mostListed).map(describeMismatch)
  const rest = mismatches.length - shown.length
  return [
    mismatches.length === 0 ? 'no client is registered' : 'no registered client matches:',
    ...shown,
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    ...(subject === undefined ? [] : ['tlsbound clients from-cert prints a registration for the certificate']),
  ]
}

function describeMatch({ client_id: id, disabled, method }: Match): string {
  if (disabled) return `${id} matches, but is disabled; tlsbound clients enable accepts it again`
  return `${id} matches${usesSecret({ method }) ? ', and must send a secret as well' : ''}`
}

function describeMismatch({ client_id: id, cause, registered, presented }: Mismatch): string {
  const names = registered === undefined ? '' : ` Registered: ${registered}.`
  return `  ${id}: ${cause}${names}${presented === undefined ? '' : ` Presented: ${presented}.`}`
}
