// Mutual-TLS client authentication (RFC 8705 §2). server/clients/client-secret.ts verifies a client secret.
import type { Client } from './client.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import type { Presenter } from './presenter.ts'
import { explainMismatch, matchesSubject } from './subject-rule.ts'

/**
 * Authenticates a client by its certificate: a registered certificate, or a certificate from a trusted authority with the
 * registered name.
 * @throws OAuthError `client_mismatch`.
 */
export function authenticateClient(client: Client, presenter: Presenter): void {
  if (isPresenterOf(client, presenter)) return
  const { thumbprint, pinned, x509 } = presenter.certificate
  if (client.subject === undefined) refuse('not_registered_certificate', { thumbprint })
  if (pinned) refuse('not_vouched_for')
  const { detail, facts } = explainMismatch(client.subject, x509)
  refuse(detail, facts)
}

/** Returns whether `authenticateClient` accepts this presenter for this client. */
export function isPresenterOf({ subject, certificates }: Client, { certificate }: Presenter): boolean {
  if (subject === undefined) return certificates.has(certificate.thumbprint)
  return !certificate.pinned && matchesSubject(subject, certificate.x509)
}

/** Finds the registration for which `authenticateClient` accepts this presenter. */
export function findRegistration<Registered extends { readonly client: Client }>(
  registrations: Iterable<Registered>,
  presenter: Presenter,
): Registered | undefined {
  for (const registered of registrations) if (isPresenterOf(registered.client, presenter)) return registered
  return undefined
}

function refuse(detail: DetailOf<'client_mismatch'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_client', 'client_mismatch', detail, facts)
}
