// Presenter × registration → client, or refusal: mutual-TLS client authentication (RFC 8705 §2.1).
import type { X509Certificate } from 'node:crypto'
import { readFields, readUris } from './certificate-fields.ts'
import type { Client, Clients, SubjectRule } from './client.ts'
import { readName } from './distinguished-name.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'

/**
 * Authenticates the client that names itself `clientId` by the certificate that it presents.
 * @throws OAuthError `unknown_client` or `client_mismatch`.
 */
export function authenticateClient(clientId: string, presenter: Presenter, clients: Clients): Client {
  const client = clients.get(clientId)
  if (client === undefined) throw new OAuthError('invalid_client', 'unknown_client')
  if (!matchesSubject(client.subject, presenter.certificate.x509))
    throw new OAuthError('invalid_client', 'client_mismatch')
  return client
}

/** Whether a certificate has the one name that a registration demands; no other name of it is looked at. */
export function matchesSubject({ type, value }: SubjectRule, certificate: X509Certificate): boolean {
  switch (type) {
    case 'subject_dn':
      return readNames(certificate).subject === value
    case 'san_dns':
      return certificate.checkHost(value, { subject: 'never', wildcards: false }) !== undefined
    case 'san_ip':
      return certificate.checkIP(value) !== undefined // in binary, as RFC 8705 §2.1.2 says
    case 'san_email':
      return certificate.checkEmail(value, { subject: 'never' }) !== undefined
    case 'san_uri':
      return readNames(certificate).uris.some(uri => uri.equals(Buffer.from(value)))
  }
}

/** Not UTF-8, or not the structure we know: no names, which are equal to nothing. */
function readNames(certificate: X509Certificate): { subject: string | undefined; uris: Buffer[] } {
  try {
    const fields = readFields(certificate.raw)
    return { subject: readName(fields.subject), uris: readUris(fields) }
  } catch {
    return { subject: undefined, uris: [] }
  }
}
