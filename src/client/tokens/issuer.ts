// The issuer of a client's tokens: finds its token endpoint (RFC 8414 §3, RFC 8705 §5) and the channel to request over.
// A connection-bound token must be requested over the channel that it is used on.
import type { OutgoingError } from '../../outgoing/failure.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import { fetchMetadata, tokenEndpointOf } from '../metadata.ts'
import type { Links } from './links.ts'
import { requestToken, type Token, type TokenDemand } from './request-token.ts'

export interface Issuer {
  /** Requests a token that is valid on this channel. @throws ClientError (rejects). */
  token(channel: BoundChannel, demand: TokenDemand): Promise<Token>
}

/** Creates an issuer from its identifier. `links` lead to it when it has another origin than the channels. */
export function createIssuer(issuer: string, links: Pick<Links, 'to'>): Issuer {
  let endpoint: Promise<URL> | undefined

  const channelTo = async (origin: string, channel: BoundChannel) =>
    origin === channel.origin ? channel : links.to(origin, channel.credentials)

  async function find(channel: BoundChannel): Promise<URL> {
    try {
      return await findTokenEndpoint(await channelTo(new URL(issuer).origin, channel), issuer)
    } catch (error) {
      endpoint = undefined // the next request tries again
      throw error
    }
  }

  return {
    async token(channel, demand) {
      endpoint ??= find(channel)
      const url = await endpoint
      const by = await channelTo(url.origin, channel)
      const token = await requestToken(by, url, demand).catch((problem: ClientError) => {
        // A server evaluates a certificate once per connection, so this connection would be refused until it closes.
        if (namesCertificate(problem.reason)) void by.close()
        throw problem
      })
      if (token.binding === 'connection' && by !== channel)
        throw new ClientError('token_bound_elsewhere', {
          finding: `${url.href}: the token is bound to the connection to the issuer, but the resource is at ${channel.origin}; use level proof or certificate`,
        })
      return token
    },
  }
}

/** @throws ClientError (rejects) `token_unavailable` without a response, `issuer_unusable` for invalid metadata. */
async function findTokenEndpoint(channel: BoundChannel, issuer: string): Promise<URL> {
  try {
    return tokenEndpointOf(await fetchMetadata(channel.dispatcher, issuer))
  } catch (cause) {
    const { code, status } = cause as OutgoingError
    const isAnswer = ['redirect', 'status', 'encoded', 'too_large', 'not_json', 'unexpected_content'].includes(code)
    const passes = !isAnswer || status === 429 || (status ?? 0) >= 500
    throw new ClientError(passes ? 'token_unavailable' : 'issuer_unusable', { cause, status })
  }
}
