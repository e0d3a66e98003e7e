// `tlsbound/client`: a client that binds its tokens to its TLS connections and certificate, and renews both.
import '../process/require-node.js'

import type { Dispatcher } from 'undici'
import { anyRule, checkOptions } from '../core/check-options.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { clientRules, originRule } from './check-options.ts'
import { type BoundChannel, openChannel } from './connection/channel.ts'
import type { ClientError } from './errors.ts'
import { createFetch, type Fetch } from './fetch.ts'
import { type Credentials, followIdentity, type Identity, type IdentitySource, readClientId } from './identity.ts'
import { readOrigin } from './origin.ts'
import { createDispatcher } from './request/dispatcher.ts'
import { createPool } from './request/pool.ts'
import { createSignatureDemands } from './signing/signature-demands.ts'
import { type ClientState, describeCertificate, describeConnection, describeProblem } from './state.ts'
import { createIssuer } from './tokens/issuer.ts'
import { createLinks } from './tokens/links.ts'
import { createProofs } from './tokens/proofs.ts'
import type { TokenDemand } from './tokens/request-token.ts'
import { createTokenSupply } from './tokens/token-supply.ts'

export { type ChannelToken, type ConnectOptions, connect, type SignableMessage, type TokenChannel } from './connect.ts'
export type { Channel, ChannelOptions } from './connection/channel.ts'
export { ClientError, type Problem, problems } from './errors.ts'
export { type Identity, type IdentityFiles, type IdentitySource, readIdentityFiles } from './identity.ts'
export type { ClientState } from './state.ts'

export interface ClientOptions {
  /** The origin of all requests, such as https://api.example:8443. */
  readonly origin: string
  /** Certificate, private key and authorities: PEM texts, or files with `readIdentityFiles`. */
  readonly identity: Identity | IdentitySource
  /** The client_id. Default: the common name of the certificate. */
  readonly clientId?: string
  /** The identifier of the token issuer; its metadata (RFC 8414) names the token endpoint. Default: the origin. */
  readonly issuer?: string
  /** The scope of the tokens. Default: every scope that the client is registered for. */
  readonly scope?: string
  /** The audience of the tokens (RFC 8707). Default: the default of the issuer. */
  readonly resource?: string
  /**
   * The binding level of the tokens. `connection` requires that the origin is the issuer.
   * Default: the first level of the client's registration.
   */
  readonly tokenBinding?: TokenBinding
  /**
   * Sign every request, from the first one on. Default false: requests are signed once the server asks for it, so a stream
   * as the first body at a path is refused.
   */
  readonly signRequests?: boolean
  /** The maximum number of simultaneous connections. Default 4. */
  readonly connections?: number
  /** Use HTTP/2 where the server offers it. Default true. */
  readonly http2?: boolean
  /** The minimum TLS version. Default TLSv1.3. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** Seconds that a request may wait for a connection and a token. Default 30. */
  readonly timeout?: number
}

export interface Client {
  /** undici's fetch; relative URLs are resolved against the origin. */
  readonly fetch: Fetch
  /** The dispatcher for undici's `request`, `stream` and `pipeline`. */
  readonly dispatcher: Dispatcher
  /** Returns connections, token levels and expiry, the last problem and counters; never a token or a key. */
  state(): ClientState
  /** Waits for the requests under way, then closes all connections. */
  close(): Promise<void>
}

/**
 * Creates a client. It connects on its first request, requests and renews tokens, and reconnects. Over HTTP/1.1 a
 * response that ends with its connection fails with `answer_endless`, because a truncated one would look complete.
 * @throws TypeError that names the invalid option, ClientError `identity_unusable`.
 */
export function createClient(options: ClientOptions): Client {
  checkOptions(options, undefined, { ...originRule, identity: anyRule }, clientRules)
  const { origin, issuer, connections = 4, timeout = 30, http2, minVersion } = options
  const home = readOrigin(origin)
  let lastProblem: ClientState['lastProblem'] = null
  const onProblem = (problem: ClientError) => {
    lastProblem = describeProblem(problem)
  }
  const credentials = followIdentity(options.identity, onProblem)
  const { scope, resource, tokenBinding } = options
  const demand = (of: Credentials): TokenDemand => ({
    clientId: options.clientId ?? readClientId(of),
    scope,
    resource,
    tokenBinding,
  })
  demand(credentials()) // fails early when the certificate names no client
  const counts = { requests: 0, tokens: 0, connections: 0, repeated: 0 }
  let binding: TokenBinding | null = null
  const open = async (to: string, of: Credentials): Promise<BoundChannel> => {
    const channel = await openChannel(to, of, { http2, minVersion })
    counts.connections += 1
    return channel
  }
  const links = createLinks(open)
  const pool = createPool({ origin: home, connections, credentials, open: of => open(home, of), onProblem })
  const tokens = createTokenSupply({
    issuer: createIssuer(issuer ?? home, links),
    level: tokenBinding,
    demand,
    onProblem,
    onToken(token) {
      counts.tokens += 1
      binding = token.binding
      pool.answered(token.channel)
    },
  })
  const dispatcher = createDispatcher({
    origin: home,
    pool,
    tokens,
    proofs: createProofs(),
    signatures: createSignatureDemands(options.signRequests === true),
    timeout: timeout * 1000,
    onRequest: () => void counts.requests++,
    onRepeat: () => void counts.repeated++,
  })
  return {
    fetch: createFetch(dispatcher, home),
    dispatcher,
    state: () => ({
      origin: home,
      binding,
      certificate: describeCertificate(credentials().certificate),
      connections: pool.channels.map(channel => describeConnection(channel, tokens.find(channel))),
      lastProblem,
      counts: { ...counts },
    }),
    async close() {
      await dispatcher.close()
      await links.close()
    },
  }
}
