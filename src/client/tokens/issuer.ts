// The issuer of a client's tokens: where its token endpoint is (RFC 8414 §3, RFC 8705 §5), and over which channel it is
// asked. A connection-bound token can only be got over the channel that it is to be used on.
import type { OutgoingError } from '../../outgoing/failure.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import { fetchMetadata, tokenEndpointOf } from '../metadata.ts'
import type { Links } from './links.ts'
import { requestToken, type Token, type TokenDemand } from './request-token.ts'

export interface Issuer {
  /** Gets a token that is good on this channel. @throws ClientError (rejects). */
  token(channel: BoundChannel, demand: TokenDemand): Promise<Token>
}

/** Knows an issuer by its identifier. `links` lead to it when it is not at the origin of the channels themselves. */
export function createIssuer(issuer: string, links: Pick<Links, 'to'>): Issuer {
  let endpoint: Promise<URL> | undefined

  const channelTo = async (origin: string, channel: BoundChannel) =>
    origin === channel.origin ? channel : links.to(origin, channel.credentials)

  async function find(channel: BoundChannel): Promise<URL> {
    try {
      return await findTokenEndpoint(await channelTo(new URL(issuer).origin, channel), issuer)
    } catch (error) {
      endpoint = undefined // so that the next one looks again
      throw error
    }
  }

  return {
    async token(channel, demand) {
      endpoint ??= find(channel)
      const url = await endpoint
      const by = await channelTo(url.origin, channel)
      const token = await requestToken(by, url, demand).catch((problem: ClientError) => {
        // A server judges a certificate once for each connection: this one would be refused for its whole life.
        if (namesCertificate(problem.reason)) void by.close()
        throw problem
      })
      if (token.binding === 'connection' && by !== channel)
        throw new ClientError('token_bound_elsewhere', {
          finding: `${url.href}: the token is bound to the connection to the issuer, and the resource is at ${channel.origin}; use level proof or certificate`,
        })
      return token
    },
  }
}

/** @throws ClientError (rejects) `token_unavailable` when there is no answer, `issuer_unusable` when it is no metadata. */
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
