// The options and the interface of a test server.
import type { FastifyInstance } from 'fastify'
import type { KeyRing } from '../keys/key-ring.ts'
import type { TokenJwk } from '../keys/token-keys.ts'
import type { Notifier } from '../notify/notifier.ts'
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import type { Identity } from '../pki/certificate.ts'
import type { DemoPki } from '../pki/demo.ts'
import type { FindReporterKey } from '../server/incidents/reporter-keys.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls, MutualTlsOptions } from '../tls/listener-options.ts'
import type { TestConnection } from './connection.ts'

export interface TestServerOptions {
  /** Settings by name, such as `{ TLSBOUND_ACCESS_TOKEN_LIFETIME: '60' }`. Default port: any free one. */
  readonly env?: Readonly<Record<string, string>>
  /** Client registrations. Default: alice and bob of the demo. */
  readonly clients?: readonly object[]
  readonly pki?: DemoPki
  /** Other TLS options, such as revocation lists. */
  readonly tls?: Partial<MutualTlsOptions>
  /** Your own routes behind `requireToken`. */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
  /** Default: an in-memory store. The server closes it. */
  readonly store?: Store
  /** Private keys for tokens. Default: a new one. */
  readonly signingKeys?: readonly TokenJwk[]
  /** Milliseconds until connections of clients without access close. Default 60000, so that refusals are visible. */
  readonly closeAfter?: number
  /** Whether to start the ops listener. */
  readonly ops?: boolean
  /** The reporters whose signed leak reports are accepted. Default: those of the settings. */
  readonly leakKeys?: FindReporterKey
  /** The timeout for fetching an outside issuer's keys, in milliseconds. Default 5000. */
  readonly issuerTimeout?: number
}

export interface TestServer {
  /** `https://localhost:PORT`. */
  readonly origin: string
  readonly port: number
  readonly pki: DemoPki
  readonly app: FastifyInstance
  readonly tls: MutualTls
  /** Its signing keys. */
  readonly keys: KeyRing
  /** The security events of requests so far, oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own members
  readonly events: readonly any[]
  /** The events of the server's own actions: `theft.suspected`, `proxy.suspected`, `connection.closed`. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own members
  readonly alarms: readonly any[]
  /** The lines of the application log so far. */
  readonly log: readonly string[]
  readonly store: Store
  readonly notifier: Notifier
  /** The ops listener, if requested, and its token. */
  readonly ops: { readonly url: string; readonly token: string } | undefined
  /** The server's clock in seconds since 1970; advance it to let tokens and certificates expire. */
  clock: number
  /** Opens a connection with one of the demo identities, your own identity, or (null) no certificate. @throws TypeError (rejects) */
  connect(
    who: keyof DemoPki | Identity | null,
    options?: Partial<ConnectTlsOptions> & { clientId?: string },
  ): Promise<TestConnection>
  /** Closes the connections, the server and its store. */
  close(): Promise<void>
}
