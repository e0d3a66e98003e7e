// Compares the certificate that presented a token with the one it is bound to: it tells a thief from an owner with a
// renewed certificate.

import type { CameWith } from '../../core/came-with.ts'
import { isPresenterOf } from '../../core/client-authentication.ts'
import type { TokenFacts } from '../../core/errors.ts'
import { matchesSubject } from '../../core/subject-rule.ts'
import { type Connection, presentedCertificate } from '../../tls/connection.ts'
import type { ClientRegistry } from '../clients/registry.ts'

/**
 * Compares the certificate of a connection with the one that a token is bound to. `claimed`: the client_id in the request,
 * authenticated or not. Returns undefined where there is nothing to compare: the request came by no connection of the mutual-TLS
 * listener, as through a proxy that hides the certificate, or the token is bound to no certificate and its own client presents it.
 */
export function compareCertificates(
  connection: Connection | undefined,
  { client_id: owner, bound_to: bound }: TokenFacts,
  claimed: string | undefined,
  clients: ClientRegistry,
): CameWith | undefined {
  if (connection === undefined) return undefined
  const { presenter, rejection, thumbprint } = connection
  if (thumbprint !== undefined && thumbprint === bound) return 'own_certificate'
  const x509 = presentedCertificate(connection)
  if (x509 === undefined) return 'no_certificate'
  const client = typeof owner === 'string' ? clients.get(owner)?.client : undefined
  if (client === undefined) return 'other_certificate'
  if (presenter !== undefined && rejection === undefined) {
    if (isPresenterOf(client, presenter)) return bound === undefined ? undefined : 'renewed_certificate'
    return claimed === client.id ? 'perhaps_renewed_certificate' : 'other_certificate'
  }
  // No authority vouches for its names. A client whose certificates themselves are registered has no name to compare.
  const mayBeOwners = client.subject === undefined || matchesSubject(client.subject, x509)
  return mayBeOwners ? 'perhaps_renewed_certificate' : 'other_certificate'
}
