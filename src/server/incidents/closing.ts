// Closes live connections within a second when the store reports that their client may no longer act: a disabled client, or
// a revoked certificate. Until then, their requests are refused. retirement.ts closes connections after a reload of the TLS
// files.
import type { Reason } from '../../core/errors.ts'
import { type ErrorLog, guardedWithLog } from '../../core/guard.ts'
import type { Change } from '../../store/store.ts'
import type { Connection } from '../../tls/connection.ts'
import type { Audit } from '../record-events.ts'

export interface ClosingParts {
  readonly connections: ReadonlySet<Connection>
  readonly audit: Pick<Audit, 'connectionClosed'>
  readonly isEnabled: (clientId: string) => boolean
  readonly log: ErrorLog
  /** Milliseconds between the change and the close. */
  readonly after: number
}

export interface Closing {
  /** Closes the connections whose client may no longer act after a change in the store. */
  readonly onChange: (change: Change) => void
  /** Closes the connections of a certificate, by its `x5t#S256`. */
  readonly closeCertificate: (thumbprint: string, reason: Reason) => void
}

export function createClosing({ connections, audit, isEnabled, log, after }: ClosingParts): Closing {
  const message = 'unhandled error while closing connections'
  const later = (work: () => void) => void setTimeout(guardedWithLog(log, message, work), after).unref()

  function closeWhere(isOver: (connection: Connection) => boolean, reason: Reason): void {
    for (const connection of connections) if (isOver(connection)) close(connection, reason)
  }
  const close = guardedWithLog(
    log,
    message,
    ({ socket }: Connection, reason: Reason) => {
      audit.connectionClosed(socket, reason)
      socket.destroy()
    },
    ({ socket }) => socket.destroy(),
  )
  const closeCertificate = (thumbprint: string, reason: Reason) =>
    later(() => closeWhere(({ presenter }) => presenter?.certificate.thumbprint === thumbprint, reason))

  return {
    closeCertificate,
    onChange(change) {
      if (change.kind === 'client' && change.client.disabled) {
        const { id } = change.client
        later(() => !isEnabled(id) && closeWhere(connection => isOf(connection, id), 'client_disabled'))
      } else if (change.kind === 'revocation' && change.revocation.kind === 'certificate')
        closeCertificate(change.revocation.value, 'certificate_revoked')
    },
  }
}

/** Checks whether a client was authenticated on a connection or has used tokens there. */
function isOf({ client, verified }: Connection, id: string): boolean {
  return client?.id === id || [...(verified?.values() ?? [])].some(({ token }) => token.claims.client_id === id)
}
