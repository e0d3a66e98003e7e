// The issuer of a client's tokens: where its token endpoint is (RFC 8414 §3, RFC 8705 §5), and over which channel it is
// asked. A connection-bound token can only be got over the channel that it is to be used on.
import type { BoundChannel } from './channel.ts'
import { ClientError } from './errors.ts'
import type { Links } from './links.ts'
import { readJson } from './read-json.ts'
import { requestToken, type Token, type TokenDemand } from './request-token.ts'

/** Milliseconds. */
const answerTimeout = 10_000

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
      const { origin, pathname, search } = await endpoint
      const by = await channelTo(origin, channel)
      const token = await requestToken(by, pathname + search, demand)
      if (token.binding === 'connection' && by !== channel)
        throw new ClientError('token_bound_elsewhere', { reason: 'the issuer has another origin than the resource' })
      return token
    },
  }
}

/**
 * Asks for the metadata of the issuer that a channel leads to.
 * @throws ClientError (rejects) `token_unavailable` when there is no answer, `issuer_unusable` when it is not good.
 */
async function findTokenEndpoint(channel: BoundChannel, issuer: string): Promise<URL> {
  const { pathname } = new URL(issuer)
  const path = `/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`
  const timeouts = { headersTimeout: answerTimeout, bodyTimeout: answerTimeout }
  const { status, body } = await readJson(channel.dispatcher, { path, method: 'GET', ...timeouts }).catch(cause => {
    throw new ClientError('token_unavailable', { cause })
  })
  if (status === 429 || status >= 500) throw new ClientError('token_unavailable', { status })
  // RFC 8414 §3.3: identical, or it could be another's.
  if (status !== 200 || body?.issuer !== issuer) throw new ClientError('issuer_unusable', { status })
  const aliases = body.mtls_endpoint_aliases as { readonly token_endpoint?: unknown } | null | undefined
  const endpoint = aliases?.token_endpoint ?? body.token_endpoint
  const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') throw new ClientError('issuer_unusable')
  return url
}
