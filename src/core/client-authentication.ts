// Presenter × registration → authenticated or not: mutual-TLS client authentication (RFC 8705 §2).
// A secret, where one is asked for besides, is server/clients/client-secret.ts.
import type { Client } from './client.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import { explainMismatch, matchesSubject } from './subject-rule.ts'

/**
 * Authenticates a registered client by the certificate that is presented: one of those that are registered themselves,
 * or one whose name an authority vouches for.
 * @throws OAuthError `client_mismatch`.
 */
export function authenticateClient(client: Client, { certificate }: Presenter): void {
  const { subject, certificates } = client
  if (subject === undefined) {
    if (!certificates.has(certificate.thumbprint))
      refuse('not_registered_certificate', { thumbprint: certificate.thumbprint })
  } else if (certificate.pinned) refuse('not_vouched_for')
  else if (!matchesSubject(subject, certificate.x509)) {
    const { detail, facts } = explainMismatch(subject, certificate.x509)
    refuse(detail, facts)
  }
}

function refuse(detail: DetailOf<'client_mismatch'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_client', 'client_mismatch', detail, facts)
}
