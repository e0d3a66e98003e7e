// `tlsbound/client`: a client whose tokens are bound to its TLS connections and certificate, and that takes care of both.
import '../process/require-node.js'

import type { Dispatcher } from 'undici'
import type { TokenBinding } from '../core/confirmation.ts'
import { type BoundChannel, openChannel } from './connection/channel.ts'
import type { ClientError } from './errors.ts'
import { createFetch, type Fetch } from './fetch.ts'
import { type Credentials, followIdentity, type Identity, type IdentitySource, readClientId } from './identity.ts'
import { readOrigin } from './origin.ts'
import { createDispatcher } from './request/dispatcher.ts'
import { createPool } from './request/pool.ts'
import { type ClientState, describeConnection, describeProblem } from './state.ts'
import { createIssuer } from './tokens/issuer.ts'
import { createLinks } from './tokens/links.ts'
import { createProofs } from './tokens/proofs.ts'
import type { TokenDemand } from './tokens/request-token.ts'
import { createTokenSupply } from './tokens/token-supply.ts'

export { type ChannelToken, type ConnectOptions, connect, type TokenChannel } from './connect.ts'
export type { Channel, ChannelOptions } from './connection/channel.ts'
export { ClientError, type Problem, problems } from './errors.ts'
export { type Identity, type IdentityFiles, type IdentitySource, readIdentityFiles } from './identity.ts'
export type { ClientState } from './state.ts'

export interface ClientOptions {
  /** The origin of all requests, such as https://api.example:8443. */
  readonly origin: string
  /** Certificate, private key and authorities: PEM texts, or files with `readIdentityFiles`. */
  readonly identity: Identity | IdentitySource
  /** Default: the common name of the certificate. */
  readonly clientId?: string
  /** The issuer of the tokens; its metadata (RFC 8414) names the token endpoint. Default: the origin. */
  readonly issuer?: string
  /** The scope of the tokens. Default: all that the client is registered for. */
  readonly scope?: string
  /** The audience of the tokens (RFC 8707). Default: that of the issuer. */
  readonly resource?: string
  /** The level of the tokens; `connection` needs an origin that is the issuer. Default: the first of the registration. */
  readonly tokenBinding?: TokenBinding
  /** The most connections at a time. Default 4. */
  readonly connections?: number
  /** Use HTTP/2 where the server offers it. Default true. */
  readonly http2?: boolean
  /** The lowest version of TLS. Default TLSv1.3. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** Seconds that a request waits for a connection and a token. Default 30. */
  readonly patience?: number
}

export interface Client {
  /** undici's fetch; paths are relative to the origin. */
  readonly fetch: Fetch
  /** For undici's own `request`, `stream` and `pipeline`. */
  readonly dispatcher: Dispatcher
  /** Returns the connections, the level and end of their tokens, the last problem, and counts; no token and no key. */
  state(): ClientState
  /** Completes the requests under way, then closes all connections. */
  close(): Promise<void>
}

/**
 * Creates a client. It connects with its first request, gets and renews its tokens, and reconnects. Over HTTP/1.1 an answer
 * that ends with its connection fails with `answer_endless`, since half of it would look whole.
 * @throws TypeError for options that cannot be right, ClientError `identity_unusable`.
 */
export function createClient(options: ClientOptions): Client {
  const { origin, issuer, connections = 4, patience = 30, http2, minVersion } = options
  const home = readOrigin(origin)
  if (!Number.isInteger(connections) || connections < 1) throw new TypeError('connections must be a number from 1 on')
  if (!(patience > 0)) throw new TypeError('patience must be a number of seconds')
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
  demand(credentials()) // a certificate that names no client is a mistake to be told now
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
    patience: patience * 1000,
    onRequest: () => void counts.requests++,
    onRepeat: () => void counts.repeated++,
  })
  return {
    fetch: createFetch(dispatcher, home),
    dispatcher,
    state: () => ({
      origin: home,
      binding,
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
