// The client of PostgreSQL that everything here connects with. TLS to the database is opened by pg, as the URL says; what
// the database presents there is read as on every other outgoing connection.
import type { TLSSocket } from 'node:tls'
import { Client, type ClientConfig } from 'pg'
import { protectPeerCertificate } from '../outgoing/peer-certificate.ts'

interface Connection {
  readonly stream: object
  ssl: boolean | { rejectUnauthorized?: boolean }
  on(event: 'sslconnect', listener: () => void): void
}

export class PostgresClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config)
    const { connection } = this as unknown as { readonly connection: Connection }
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: only the URL can leave the database unverified.
    if (connection.ssl === true) connection.ssl = {}
    if (typeof connection.ssl === 'object') connection.ssl.rejectUnauthorized ??= true
    // At the moment in which the TLS socket exists, and before its handshake.
    connection.on('sslconnect', () => protectPeerCertificate(connection.stream as TLSSocket))
  }
}
