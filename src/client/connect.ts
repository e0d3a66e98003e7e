// `connect`: one channel with its bindings and its token, for callers that manage connections themselves. No retries.
import { checkOptions } from '../core/check-options.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { buildContentDigest } from '../core/content-digest.ts'
import { originRule, tokenRules } from './check-options.ts'
import { type BoundChannel, type Channel, type ChannelOptions, openChannel } from './connection/channel.ts'
import { type Identity, readClientId, readCredentials } from './identity.ts'
import { readOrigin } from './origin.ts'
import { createIssuer } from './tokens/issuer.ts'
import { createLinks } from './tokens/links.ts'
import { createProofs } from './tokens/proofs.ts'
import { readExpiry, type Token, type TokenDemand } from './tokens/request-token.ts'

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
  /**
   * Signs a request with this token, for a server that asks for signed requests (RFC 9421). Returns all headers that the
   * request needs beside its own. A signature is valid once, within a minute, on this channel.
   * @throws ClientError `signature_impossible`.
   */
  sign(request: SignableMessage): Readonly<Record<string, string>>
}

/** What a signature is made over, exactly as it is sent. */
export interface SignableMessage {
  readonly method: string
  /** The path with its query. */
  readonly path: string
  /** The value of Content-Type, if it is sent. */
  readonly contentType?: string | undefined
  /** The body, if there is one; or its Content-Digest, if it is a stream. */
  readonly body?: string | Uint8Array | undefined
  readonly contentDigest?: string | undefined
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
      const headers = {
        authorization: token.authorization,
        ...(proof !== undefined && { 'session-binding-proof': proof }),
      }
      return {
        headers,
        sign: request => ({ ...headers, ...signMessage(request, channel, token) }),
        binding: token.binding,
        scope: token.scope,
        expires: readExpiry(token),
      }
    },
  }
}

function signMessage(
  { method, path, contentType, body = '', contentDigest }: SignableMessage,
  channel: BoundChannel,
  token: Token,
): Record<string, string> {
  const digest = contentDigest ?? (body.length > 0 ? buildContentDigest(body) : undefined)
  const fields = { authorization: token.authorization, 'content-type': contentType, 'content-digest': digest }
  const signed = channel.sign({ method, target: path, fields }, token.serverTime())
  return { ...signed, ...(digest !== undefined && { 'content-digest': digest }) }
}
