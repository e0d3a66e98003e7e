// What a test server is asked for, and what it offers.
import type { FastifyInstance } from 'fastify'
import type { KeyRing } from '../keys/key-ring.ts'
import type { TokenJwk } from '../keys/token-keys.ts'
import type { Notifier } from '../notify/notifier.ts'
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import type { Identity } from '../pki/certificate.ts'
import type { DemoPki } from '../pki/demo.ts'
import type { FindReporterKey } from '../server/incidents/reporter-keys.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls, MutualTlsOptions } from '../tls/mutual-tls.ts'
import type { TestConnection } from './connection.ts'

export interface TestServerOptions {
  /** Settings by name, such as `{ TLSBOUND_ACCESS_TOKEN_LIFETIME: '60' }`. Without a port: any free one. */
  readonly env?: Readonly<Record<string, string>>
  /** Registrations. Default: alice and bob of the demo. */
  readonly clients?: readonly object[]
  readonly pki?: DemoPki
  /** Anything else about TLS, such as revocation lists. */
  readonly tls?: Partial<MutualTlsOptions>
  /** Routes of your own behind `requireToken`. */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
  /** Default: one in memory. The server closes it. */
  readonly store?: Store
  /** Private keys for tokens. Default: a new one. */
  readonly signingKeys?: readonly TokenJwk[]
  /** Milliseconds after which connections are closed whose client may no longer act. Default 60000: see the refusals first. */
  readonly closeAfter?: number
  /** Start the ops listener too. */
  readonly ops?: boolean
  /** Whose signed reports of leaked tokens are taken. Default: those of the settings. */
  readonly leakKeys?: FindReporterKey
  /** Milliseconds that an outside issuer has to give its keys. Default 5000. */
  readonly issuerTimeout?: number
}

export interface TestServer {
  readonly origin: string
  readonly port: number
  readonly pki: DemoPki
  readonly app: FastifyInstance
  readonly tls: MutualTls
  /** Its signing keys. */
  readonly keys: KeyRing
  /** The security events of what was asked for and decided so far, oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own members
  readonly events: readonly any[]
  /** What the server concluded and did by itself: `theft.suspected`, `connection.closed`. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own members
  readonly alarms: readonly any[]
  /** The lines of the application log so far. */
  readonly log: readonly string[]
  readonly store: Store
  readonly notifier: Notifier
  /** The ops listener, if it was asked for, and the token that it wants. */
  readonly ops: { readonly url: string; readonly token: string } | undefined
  /** Seconds since 1970, by which this server judges tokens and certificates; move it to let them age. */
  clock: number
  /** Opens a connection as one of the demo's identities, as one of your own, or without certificate. */
  connect(
    who: keyof DemoPki | Identity | null,
    options?: Partial<ConnectTlsOptions> & { clientId?: string },
  ): Promise<TestConnection>
  /** Closes the connections, the server and its store. */
  close(): Promise<void>
}
