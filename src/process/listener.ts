// Builds the mutual-TLS listener by the settings, for the server and for tests of others.

import { requireSocketEntry } from '../core/certificate-proxy.ts'
import type { ClientRegistry } from '../server/clients/registry.ts'
import type { Audit } from '../server/record-events.ts'
import type { Settings } from '../settings/settings.ts'
import { createHandshakeLog, type HandshakeLog } from '../tls/failed-handshakes.ts'
import type { MutualTls, MutualTlsOptions } from '../tls/listener-options.ts'
import { mutualTls } from '../tls/mutual-tls.ts'
import type { TlsMaterial } from '../tls/options.ts'

interface ListenerParts {
  readonly material: TlsMaterial
  readonly clients: Pick<ClientRegistry, 'isPinned'> & Partial<Pick<ClientRegistry, 'findClient'>>
  readonly audit: Pick<Audit, 'connectionRefused' | 'connectionClosed' | 'handshakeRefused'>
  readonly log: HandshakeLog
}

/** Builds it; `more` takes precedence over the settings. @throws Error when the material is not usable. */
export function createListener(
  settings: Settings,
  { material, clients, audit, log }: ListenerParts,
  more: Partial<MutualTlsOptions> = {},
): MutualTls {
  const logFailure = createHandshakeLog(log, () => performance.now())
  const tls = mutualTls({
    ...material,
    minVersion: settings.tlsMinVersion,
    http2: settings.http2,
    dropUnacceptable: settings.tlsDropUnacceptable,
    maximumAge: settings.connectionMaxAge,
    proxyProtocolFrom: settings.proxyProtocolFrom?.split(',').map(range => range.trim()) ?? [],
    isPinned: thumbprint => clients.isPinned(thumbprint),
    ...(clients.findClient && { findClient: clients.findClient }),
    onDrop: audit.connectionRefused,
    onClose: audit.connectionClosed,
    onFailedHandshake(failed) {
      logFailure(failed)
      if (failed.refusal !== undefined) audit.handshakeRefused(failed, failed.refusal)
    },
    ...more,
  })
  requireSocketEntry(tls.inUse().proxies, settings.proxySocket)
  return tls
}
