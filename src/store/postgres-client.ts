// The PostgreSQL client of all connections. pg opens TLS to the database as the URL says. The database's certificate is
// handled like that of any outgoing connection.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Client, type ClientConfig } from 'pg'
import { protectPeerCertificate } from '../outgoing/peer-certificate.ts'
import type { FindPassword, PostgresTarget } from './postgres-password.ts'

interface Connection {
  readonly stream: Socket
  ssl: boolean | { rejectUnauthorized?: boolean }
  on(event: 'sslconnect', listener: () => void): void
}

export interface PostgresConfig extends ClientConfig {
  /** Used for each connection, in place of the password in the URL. */
  readonly findPassword?: FindPassword | undefined
}

export class PostgresClient extends Client {
  constructor(config: PostgresConfig = {}) {
    super(config)
    const { connection } = this as unknown as { readonly connection: Connection }
    // Independent of NODE_TLS_REJECT_UNAUTHORIZED: only the URL can disable the verification of the database.
    if (connection.ssl === true) connection.ssl = {}
    if (typeof connection.ssl === 'object') connection.ssl.rejectUnauthorized ??= true
    const { findPassword } = config
    // Not as `config.password`: the absent password of the URL would replace it.
    if (findPassword !== undefined)
      Object.assign(this, {
        async password(target: PostgresTarget) {
          try {
            return await findPassword(target)
          } catch (error) {
            setImmediate(() => connection.stream.destroy()) // pg leaves the connection open
            throw error
          }
        },
      })
    // As soon as the TLS socket exists, before its handshake.
    connection.on('sslconnect', () => protectPeerCertificate(connection.stream as TLSSocket))
  }
}
