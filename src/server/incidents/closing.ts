// Ends live connections within a second when the store says that their client may no longer act: a disabled client, a revoked
// certificate. Their requests are refused until then. What a reload of the TLS files ends is retirement.ts.
import type { Reason } from '../../core/errors.ts'
import { type ErrorLog, guardedWithLog } from '../../core/guard.ts'
import type { News } from '../../store/store.ts'
import type { Connection } from '../../tls/connection.ts'
import type { Audit } from '../record-events.ts'

export interface ClosingParts {
  readonly connections: ReadonlySet<Connection>
  readonly audit: Pick<Audit, 'connectionClosed'>
  readonly isEnabled: (clientId: string) => boolean
  readonly log: ErrorLog
  /** Milliseconds between the news and the end. */
  readonly after: number
}

export interface Closing {
  /** Closes what a change that the store tells of leaves nobody to act on. */
  readonly onNews: (news: News) => void
  /** Closes the connections of a certificate, by its `x5t#S256`. */
  readonly closeCertificate: (thumbprint: string, reason: Reason) => void
}

export function createClosing({ connections, audit, isEnabled, log, after }: ClosingParts): Closing {
  const message = 'unhandled error while connections are closed'
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
    onNews(news) {
      if (news.kind === 'client' && news.client.disabled) {
        const { id } = news.client
        later(() => !isEnabled(id) && closeWhere(connection => isOf(connection, id), 'client_disabled'))
      } else if (news.kind === 'revocation' && news.revocation.kind === 'certificate')
        closeCertificate(news.revocation.value, 'certificate_revoked')
    },
  }
}

/** Whether a client was authenticated on a connection, or uses tokens there. */
function isOf({ client, verified }: Connection, id: string): boolean {
  return client?.id === id || [...(verified?.values() ?? [])].some(({ token }) => token.claims.client_id === id)
}
