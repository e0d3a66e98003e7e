// Takes the token out of a request: from the Authorization header, and from nowhere else (RFC 6750 §2.1, §5.3).
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../core/errors.ts'

/** Reads the token of an Authorization header. @throws OAuthError `no_token` or `malformed_request`. */
export function readBearerToken(authorization: string | undefined): string {
  if (authorization === undefined || !/^bearer(?![!-~])/i.test(authorization))
    throw new OAuthError(undefined, 'no_token')
  const token = /^bearer ([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization)?.[1]
  if (token === undefined) throw new OAuthError('invalid_request', 'malformed_request')
  return token
}

/**
 * Refuses a request that could mean two tokens: one in its query, or two Authorization headers, of which Node keeps the
 * first without a word. @throws OAuthError `malformed_request`.
 */
export function refuseSecondToken({ url = '', rawHeaders }: Pick<IncomingMessage, 'rawHeaders' | 'url'>): void {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++
  }
  const query = url.indexOf('?')
  if (count > 1 || (query !== -1 && new URLSearchParams(url.slice(query)).has('access_token')))
    throw new OAuthError('invalid_request', 'malformed_request')
}
