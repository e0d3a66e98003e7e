// Client registrations and certificates: builds the registration of a certificate, and finds the registrations that a
// certificate matches, by the server's own rules.
import type { X509Certificate } from 'node:crypto'
import { type Client, parseClient } from '../core/client.ts'
import { authenticateClient } from '../core/client-authentication.ts'
import { detailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { type Presenter, readCertificate } from '../core/presenter.ts'
import { findFlaw, findTlsFlaw } from '../doctor/client-certificate.ts'
import type { CertificateReport } from './certificate-report.ts'

export interface RegistrationOptions {
  /** Default: a name of the certificate. */
  readonly id?: string | undefined
  readonly scope?: string | undefined
}

/**
 * Builds the registration of a certificate: by its first name, or by the certificate itself if it is self-signed or has no name.
 * @throws Error naming every problem.
 */
export function buildRegistration(
  x509: X509Certificate,
  { registrations: [first] }: Pick<CertificateReport, 'registrations'>,
  { id = findClientId(x509, first?.value), scope }: RegistrationOptions,
): object {
  if (id === undefined)
    throw new Error('the certificate has no name that suits as client_id (printable ASCII without spaces); add --id ID')
  const identity =
    first === undefined || isSelfSigned(x509)
      ? { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [buildKey(x509)] } }
      : { token_endpoint_auth_method: 'tls_client_auth', [first.member]: first.value }
  const registration = { client_id: id, ...identity, ...(scope !== undefined && { scope }) }
  const problems: string[] = []
  parseClient(registration, problem => problems.push(problem))
  if (problems.length > 0) throw new Error(problems.join('\n  '))
  return registration
}

/** Returns the common name, or else the first name, if it can be a client_id. */
function findClientId(x509: X509Certificate, name: string | undefined): string | undefined {
  const commonName = /^CN=(.*)$/m.exec(x509.subject ?? '')?.[1] ?? name
  return commonName !== undefined && /^(?!\.{1,2}$)[\x21-\x7e]{1,128}$/.test(commonName) ? commonName : undefined
}

/** A key with its certificate (RFC 8705 §2.2.2). */
function buildKey(x509: X509Certificate): object {
  return { ...x509.publicKey.export({ format: 'jwk' }), x5c: [x509.raw.toString('base64')] }
}

/** Returns whether a certificate is signed with its own key. `checkIssued` would also ask for the usage of an authority. */
function isSelfSigned(x509: X509Certificate): boolean {
  try {
    return x509.verify(x509.publicKey)
  } catch {
    return false // a key that OpenSSL cannot read
  }
}

/**
 * Returns sentences about what the server rejects in a certificate whatever its client is. `byName`: the client is registered by a
 * name, so that the usages count too. `now` in milliseconds since 1970.
 */
export function findProblems(x509: X509Certificate, byName: boolean, now: number): string[] {
  const flaw = byName ? findFlaw(x509) : findTlsFlaw(x509)
  const [from, to] = [x509.validFromDate.getTime(), x509.validToDate.getTime()]
  return [
    ...(flaw === undefined ? [] : [`the certificate ${flaw}`]),
    ...(to < now ? [`the certificate expired at ${x509.validToDate.toISOString()}; renew it`] : []),
    ...(from > now
      ? [`the certificate is not valid before ${x509.validFromDate.toISOString()}; compare the clocks`]
      : []),
  ]
}

/** What the ops listener shows of a client. */
export interface ShownClient {
  readonly client_id: string
  readonly disabled: boolean
  readonly registration: object
}

export interface Match {
  readonly client_id: string
  readonly disabled: boolean
  readonly method: Client['method']
}

export interface Mismatch {
  readonly client_id: string
  readonly detail: string
  readonly cause: string
  readonly remedy: string
  readonly registered?: string | number | undefined
  readonly presented?: string | number | undefined
}

/** Compares a certificate with each client. The mismatches that are closest to a match come first. */
export function compareWithClients(
  x509: X509Certificate,
  shown: readonly ShownClient[],
): { readonly matches: readonly Match[]; readonly mismatches: readonly Mismatch[] } {
  const matches: Match[] = []
  const mismatches: Mismatch[] = []
  // No authority can have issued a self-signed certificate: only its own registration counts.
  const certificate = readCertificate(x509, isSelfSigned(x509))
  for (const { client_id, disabled, registration } of shown) {
    const client = parseClient(registration, () => {})
    if (client === undefined) continue // of another version of tlsbound
    const mismatch = explain(client, { certificate } as Presenter)
    if (mismatch === undefined) matches.push({ client_id, disabled, method: client.method })
    else mismatches.push(mismatch)
  }
  const rank = ({ detail }: Mismatch) => Number(unrelated.includes(detail))
  return { matches, mismatches: mismatches.sort((one, other) => rank(one) - rank(other)) }
}

/** Details that apply to every certificate of another client. */
const unrelated: readonly string[] = ['other_name', 'no_name', 'not_registered_certificate', 'not_vouched_for']

function explain(client: Client, presenter: Presenter): Mismatch | undefined {
  try {
    authenticateClient(client, presenter)
    return undefined
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    const { reason, detail, facts } = error
    const { cause, remedy } = detailOf(reason, detail)
    const { registered, presented } = facts
    return { client_id: client.id, detail, cause, remedy, registered, presented }
  }
}
