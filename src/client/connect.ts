// `connect`: one channel with its bindings and its token, for callers that manage connections themselves. No retries.
import { checkOptions } from '../core/check-options.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { originRule, tokenRules } from './check-options.ts'
import { type Channel, type ChannelOptions, openChannel } from './connection/channel.ts'
import { type Identity, readClientId, readCredentials } from './identity.ts'
import { readOrigin } from './origin.ts'
import { createIssuer } from './tokens/issuer.ts'
import { createLinks } from './tokens/links.ts'
import { createProofs } from './tokens/proofs.ts'
import { readExpiry, type TokenDemand } from './tokens/request-token.ts'

export interface ConnectOptions extends ChannelOptions, Partial<TokenDemand> {
  /** The identifier of the token issuer. Default: the origin. */
  readonly issuer?: string | undefined
}

/** A channel that can request tokens. They are valid while it is open; at level `connection`, only on it. */
export interface TokenChannel extends Channel {
  /** Requests a token and verifies that it names this channel. @throws ClientError (rejects). */
  token(): Promise<ChannelToken>
}

export interface ChannelToken {
  /** The headers that a request on this channel needs: `authorization`, and at level proof `session-binding-proof`. */
  readonly headers: Readonly<Record<string, string>>
  readonly binding: TokenBinding
  readonly scope: string
  readonly expires: Date
}

/**
 * Opens a channel to an origin. It never reconnects.
 * @throws ClientError (rejects) when the connection fails, TypeError that names the invalid option.
 */
export async function connect(origin: string, identity: Identity, options: ConnectOptions = {}): Promise<TokenChannel> {
  checkOptions({ origin }, undefined, originRule)
  checkOptions(options, undefined, {}, tokenRules)
  const home = readOrigin(origin)
  const credentials = readCredentials(identity)
  const channel = await openChannel(home, credentials, options)
  const links = createLinks((to, of) => openChannel(to, of, options))
  void channel.closed.then(() => links.close())
  const issuer = createIssuer(options.issuer ?? home, links)
  const proofs = createProofs()
  const { protocol, tls, cipher, bindings, certificate, since, dispatcher, capacity, closed } = channel
  // Copied member by member, so that the internals of the channel (keys, presenter) are neither reachable nor printed.
  return {
    origin: home,
    protocol,
    tls,
    cipher,
    bindings,
    certificate,
    since,
    dispatcher,
    capacity,
    closed,
    get open() {
      return channel.open
    },
    close: () => channel.close(),
    destroy: () => channel.destroy(),
    async token() {
      const clientId = options.clientId ?? readClientId(credentials)
      const token = await issuer.token(channel, { ...options, clientId })
      const proof = proofs.find(channel, token)
      return {
        headers: {
          authorization: token.authorization,
          ...(proof !== undefined && { 'session-binding-proof': proof }),
        },
        binding: token.binding,
        scope: token.scope,
        expires: readExpiry(token),
      }
    },
  }
}
