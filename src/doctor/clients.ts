// Client registrations: the list itself, names that seem to be in the wrong order, expiring registered certificates,
// and which certificate of a folder matches which client, by the server's own rules.

import type { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, parseClients } from '../core/client.ts'
import { authenticateClient } from '../core/client-authentication.ts'
import { detailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { parseKeyCertificate } from '../core/key-certificate.ts'
import { type Presenter, type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { FileProblem } from '../files/file-problem.ts'
import { loadCertificates } from '../files/pem-files.ts'
import type { Settings } from '../settings/settings.ts'
import { describeCertificate } from '../tls/certificate-rejection.ts'
import { clientAuth, type Trust } from '../tls/trust.ts'
import { findRefusals, findTlsFlaw } from './client-certificate.ts'
import { checkEnd, type Finding, failure, failuresOf, good, warning } from './finding.ts'

/** Checks registrations that readClientsFile has accepted, or those of the demo. `now` in milliseconds since 1970. */
export function checkClients(registrations: readonly object[], settings: Settings, now: number): Finding[] {
  const source = settings.clientsFile ?? 'the demo'
  const findings = registrations.flatMap(registration => checkRegistration(registration as Registration, settings, now))
  const count = `${registrations.length} ${registrations.length === 1 ? 'client' : 'clients'}`
  if (registrations.length === 0) return [warning(`${source}: no client is registered`, 'register one')]
  return [good(`${source}: ${count}`), ...findings]
}

interface Registration {
  readonly client_id: string
  readonly tls_client_auth_subject_dn?: string
  readonly jwks?: { readonly keys: readonly unknown[] }
}

function checkRegistration(registration: Registration, { expiryWarningDays }: Settings, now: number): Finding[] {
  const { client_id: id, tls_client_auth_subject_dn: name, jwks } = registration
  const order = name !== undefined && looksReversed(name) ? [describeOrder(id, name)] : []
  const ends = (jwks?.keys ?? []).flatMap(key => {
    const end = parseKeyCertificate(key)?.validToDate.getTime()
    const finding = checkEnd(
      `client ${id}: the registered certificate`,
      end,
      now,
      expiryWarningDays,
      'register the renewed one',
    )
    return finding.verdict === 'good' ? [] : [{ ...finding, verdict: 'warning' as const }]
  })
  return [...order, ...ends]
}

/** Returns whether a name seems to list its parts in the order of the certificate, as OpenSSL prints them by default. */
function looksReversed(name: string): boolean {
  const [, first] = /^\s*(\w+)\s*=/.exec(name) ?? []
  const [, last] = /,\s*(\w+)\s*=[^,]*$/.exec(name) ?? []
  return /^(?:C|O|OU|ST|L|DC)$/i.test(first ?? '') && /^(?:CN|UID|SERIALNUMBER|EMAILADDRESS)$/i.test(last ?? '')
}

function describeOrder(id: string, name: string): Finding {
  const found = `client ${id}: the registered name ${name} may be in the wrong order`
  return warning(
    found,
    'RFC 4514 starts with the last part of the subject; print it with: openssl x509 -noout -subject -nameopt RFC2253',
  )
}

interface Candidate {
  readonly file: string
  readonly certificate: PresenterCertificate
  /** The other certificates of its file, which the client sends after it. */
  readonly sent: readonly X509Certificate[]
  /** Whether its usages allow a client certificate. A registered certificate needs no usage. */
  readonly isClient: boolean
}

export interface CertificatesOptions {
  readonly trust: Trust | undefined
  readonly settings: Settings
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Matches the certificates of a folder with clients, and explains mismatches. */
export function checkCertificates(
  folder: string,
  registrations: readonly object[],
  { trust, settings, now }: CertificatesOptions,
): Finding[] {
  const problems: Finding[] = []
  const candidates = readCandidates(folder, problems)
  const clients = [...parseClients(registrations, []).values()]
  const owners = clients.map(client => ({
    client,
    own: candidates.filter(candidate => explain(client, candidate) === undefined),
  }))
  const others = candidates.filter(({ isClient }) => isClient)
  const unowned = others.filter(candidate => !owners.some(({ own }) => own.includes(candidate)))
  return [
    ...problems,
    ...owners.flatMap(({ client, own }) =>
      own.length === 0
        ? [describeUnmatched(client, folder, others)]
        : own.flatMap(candidate => checkCandidate(client, candidate, { trust, settings, now })),
    ),
    ...unowned.flatMap(({ file, certificate, sent }) => [
      warning(`${file}: ${nameOf(certificate)} matches no registered client`, 'register it if it belongs to a client'),
      ...(trust === undefined
        ? []
        : findRefusals({ x509: certificate.x509, sent }, file, trust, settings.tlsClientCaFile, now)),
    ]),
  ]
}

/** Reads the first certificate of each file in a folder, with the following ones. */
function readCandidates(folder: string, problems: Finding[]): Candidate[] {
  const names = readNames(folder).filter(name => /\.(?:crt|pem|cer|cert)$/i.test(name))
  return names.flatMap(name => {
    const file = join(folder, name)
    try {
      const [{ x509 }, ...others] = loadCertificates(file)
      const sent = others.map(block => block.x509)
      const purposes = x509.keyUsage as readonly string[] | undefined
      const isClient = purposes === undefined || purposes.includes(clientAuth)
      return [{ file, certificate: readCertificate(x509), sent, isClient: isClient && !x509.ca }]
    } catch (error) {
      problems.push(...failuresOf(error).map(({ found, remedy }) => warning(found, remedy)))
      return []
    }
  })
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    throw new FileProblem(folder, { found: `this directory cannot be read (${(error as NodeJS.ErrnoException).code})` })
  }
}

/** Explains why the server would reject a certificate for a client; undefined if it would not. */
function explain(client: Client, { certificate }: Candidate): OAuthError | undefined {
  try {
    authenticateClient(client, { certificate } as Presenter)
    return undefined
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
}

/** Reports the closest mismatch, such as the right name in the wrong form. */
function describeUnmatched(client: Client, folder: string, candidates: readonly Candidate[]): Finding {
  const found = `client ${client.id}: no certificate in ${folder} matches`
  const refusals = candidates.map(candidate => ({ candidate, refusal: explain(client, candidate) as OAuthError }))
  const near = refusals.find(({ refusal }) => !unrelated.includes(refusal.detail))
  if (near === undefined) return warning(found, `compare the names: ${describeNames(candidates)}`)
  const { cause, remedy } = detailOf(near.refusal.reason, near.refusal.detail)
  const { registered, presented } = near.refusal.facts
  return failure(
    `${found}; ${near.candidate.file}: ${cause} Registered: ${registered}. Presented: ${presented}.`,
    remedy,
  )
}

/** Details that apply to every certificate of another client. */
const unrelated: readonly string[] = ['other_name', 'no_name', 'other_subject', 'not_registered_certificate']

function describeNames(candidates: readonly Candidate[]): string {
  const names = candidates.map(({ certificate }) => nameOf(certificate))
  const shown = names.slice(0, 10).join('; ')
  if (names.length === 0) return 'the folder contains no client certificate'
  return names.length > 10 ? `${shown}; and ${names.length - 10} more` : shown
}

function nameOf({ x509 }: PresenterCertificate): string {
  return String(describeCertificate(x509).subject ?? 'a certificate without a name')
}

/** Reports refresh tokens that end with a certificate, since they are bound to it. */
function checkRefreshTokens(
  { id, grantTypes, refreshTokenBinding }: Client,
  file: string,
  { x509 }: PresenterCertificate,
  { settings, now }: CertificatesOptions,
): Finding[] {
  const isBound = refreshTokenBinding === 'certificate' && grantTypes.has('refresh_token')
  const left = x509.validToDate.getTime() - now
  if (!isBound || !(left > 0 && left < settings.refreshTokenLifetime * 1000)) return []
  return [
    warning(
      `client ${id}: ${file} expires before the refresh tokens that are bound to it`,
      'register refresh_token_binding client, or request new grants after the renewal',
    ),
  ]
}

/** Checks the certificate of a client, as far as that is possible without a handshake. */
function checkCandidate(
  client: Client,
  { file, certificate, sent }: Candidate,
  options: CertificatesOptions,
): Finding[] {
  const { trust, settings, now } = options
  const { x509 } = certificate
  const what = `client ${client.id}: ${file}`
  if (x509.validFromDate.getTime() > now)
    return [warning(`${what} is not valid before ${x509.validFromDate.toISOString()}`, 'compare the clocks')]
  const { validToDate } = x509
  const dates = Number.isNaN(validToDate.getTime())
    ? []
    : [checkEnd(what, validToDate.getTime(), now, settings.expiryWarningDays, 'renew it')]
  const findings = dates.map(({ verdict, ...end }): Finding => {
    return { verdict: verdict === 'failure' ? 'warning' : verdict, ...end }
  })
  findings.push(...checkRefreshTokens(client, file, certificate, options))
  // For a registered certificate, authority and usage do not count.
  if (client.subject === undefined) {
    const flaw = findTlsFlaw(x509)
    return flaw === undefined ? findings : [...findings, failure(`${what} is rejected: it ${flaw}`)]
  }
  return trust === undefined
    ? findings
    : [...findings, ...findRefusals({ x509, sent }, what, trust, settings.tlsClientCaFile, now)]
}
