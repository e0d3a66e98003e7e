// What a server is assembled from, and what its routes receive.
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Targets } from '../core/policy.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { RefusalListener } from '../plugins/refuse.ts'
import type { Settings } from '../settings/settings.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import type { AttachTokenFacts } from '../verify/token-facts.ts'
import type { TokenReader } from '../verify/token-reader.ts'
import type { TokenVerifier } from '../verify/token-verifier.ts'
import type { SecretChecker } from './clients/client-secret.ts'
import type { ClientRegistry } from './clients/registry.ts'
import type { OutsideIssuers } from './grants/trusted-issuers.ts'
import type { ContainmentParts } from './incidents/containment.ts'
import type { FindReporterKey } from './incidents/reporter-keys.ts'
import type { Audit } from './record-events.ts'
import type { State } from './state.ts'

export interface ServerOptions {
  readonly settings: Settings
  readonly tls: MutualTls
  readonly clients: ClientRegistry
  readonly keys: KeyRing
  readonly store: Store
  /** External issuers whose tokens are exchanged. Default: none. */
  readonly outsideIssuers?: OutsideIssuers
  /** Finds the keys of reporters whose signed reports of leaked tokens are accepted. Default: none. */
  readonly leakKeys?: FindReporterKey | undefined
  readonly audit: Audit
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Milliseconds after which connections of a client that may no longer act are closed. Default 500. */
  readonly closeAfter?: number
  /** Forwards what no route here answers. Default: nothing is forwarded. */
  readonly gateway?: Gateway | undefined
  /** Checks client secrets. Default: one of this server, which counts what fails here. */
  readonly secrets?: SecretChecker
  /** Installs the response to thefts. Default: observes the events of this server, and closes its connections. */
  readonly contain?: (parts: ContainmentParts) => void
  /** Whether another process has checked that a key can sign tokens in the format of each client. Default: it is checked here. */
  readonly keysChecked?: boolean
  /** Additional routes, registered behind `requireToken` on the same listener, so that every level works there. */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
}

/** What the routes receive; each module picks the members that it uses. */
export interface ServerParts extends ServerOptions {
  /** Seconds since 1970. */
  readonly now: () => number
  readonly targets: Targets
  readonly secrets: SecretChecker
  readonly readToken: TokenReader
  readonly attachTokenFacts: AttachTokenFacts
  /** Records a refusal as an event, and logs the cause of an internal one. */
  readonly onRefusal: RefusalListener
  readonly state: Omit<State, 'stop'>
  readonly verifier: TokenVerifier
  readonly resourceMetadata: string
}
