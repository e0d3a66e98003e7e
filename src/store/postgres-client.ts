// The PostgreSQL client of all connections. pg opens TLS to the database as the URL says. The database's certificate is
// handled like that of any outgoing connection.
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
    // Independent of NODE_TLS_REJECT_UNAUTHORIZED: only the URL can disable the verification of the database.
    if (connection.ssl === true) connection.ssl = {}
    if (typeof connection.ssl === 'object') connection.ssl.rejectUnauthorized ??= true
    // As soon as the TLS socket exists, before its handshake.
    connection.on('sslconnect', () => protectPeerCertificate(connection.stream as TLSSocket))
  }
}
