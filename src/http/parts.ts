// What a server is put together from, and what its routes are given.
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Clients } from '../core/client.ts'
import type { Settings } from '../settings.ts'
import type { Store } from '../store/store.ts'
import type { Audit } from './audit.ts'
import type { MutualTls } from './mutual-tls.ts'
import type { SigningKey } from './token-keys.ts'
import type { TokenVerifier } from './token-verifier.ts'

export interface ServerOptions {
  readonly settings: Settings
  readonly tls: MutualTls
  readonly clients: Clients
  /** The first signs, all verify. */
  readonly signingKeys: readonly SigningKey[]
  readonly store: Store
  readonly audit: Audit
  readonly log: FastifyBaseLogger
  /** Seconds since 1970. */
  readonly now: () => number
  /** Routes of your own, registered behind `requireToken` on the same listener, so that every level works there. */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
}

/** What the routes are given. */
export interface ServerParts extends ServerOptions {
  readonly signingKey: SigningKey
  readonly verifier: TokenVerifier
  readonly resourceMetadata: string
}
