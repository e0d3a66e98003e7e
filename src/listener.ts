// The mutual-TLS listener as the settings want it, for the server and for tests of others.
import { OAuthError } from './core/errors.ts'
import type { Audit } from './http/audit.ts'
import type { ClientRegistry } from './http/clients.ts'
import { explainProblem } from './http/connection.ts'
import { type MutualTls, type MutualTlsOptions, mutualTls } from './http/mutual-tls.ts'
import type { TlsMaterial } from './http/tls.ts'
import type { Settings } from './settings.ts'

interface ListenerParts {
  readonly material: TlsMaterial
  readonly clients: Pick<ClientRegistry, 'isPinned'>
  readonly audit: Pick<Audit, 'connectionRefused'>
}

/** Builds it; `more` goes before the settings. @throws Error when the material is not usable. */
export function createListener(
  settings: Settings,
  { material, clients, audit }: ListenerParts,
  more: Partial<MutualTlsOptions> = {},
): MutualTls {
  return mutualTls({
    ...material,
    minVersion: settings.tlsMinVersion,
    http2: settings.http2,
    dropUnacceptable: settings.tlsDropUnacceptable,
    maximumAge: settings.connectionMaxAge,
    isPinned: thumbprint => clients.isPinned(thumbprint),
    onDrop: (socket, problem) =>
      audit.connectionRefused(socket, new OAuthError('invalid_client', ...explainProblem(problem))),
    ...more,
  })
}
