// Mutual-TLS client authentication (RFC 8705 §2). server/clients/client-secret.ts verifies a client secret.
import type { Client } from './client.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import { createSubjectMatcher, explainMismatch, matchesSubject } from './subject-rule.ts'

/**
 * Authenticates a client by its certificate: a registered certificate, or a certificate from a trusted authority with the
 * registered name.
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

/** Finds the registration for which `authenticateClient` accepts this presenter. */
export function findRegistration<Registered extends { readonly client: Client }>(
  registrations: Iterable<Registered>,
  { certificate }: Presenter,
): Registered | undefined {
  const matches = createSubjectMatcher(certificate.x509)
  for (const registered of registrations) {
    const { subject, certificates } = registered.client
    const isIt =
      subject === undefined ? certificates.has(certificate.thumbprint) : !certificate.pinned && matches(subject)
    if (isIt) return registered
  }
  return undefined
}

function refuse(detail: DetailOf<'client_mismatch'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_client', 'client_mismatch', detail, facts)
}
