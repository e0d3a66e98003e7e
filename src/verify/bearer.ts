// Extracts the token of a request: only from the Authorization header (RFC 6750 §2.1, §5.3).
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../core/errors.ts'

/**
 * Extracts the token of an Authorization header. `schemes`: schemes accepted besides Bearer, in lower case.
 * @throws OAuthError `no_token` or `malformed_request`.
 */
export function readBearerToken(authorization: string | undefined, schemes: readonly string[] = []): string {
  if (authorization === undefined) throw new OAuthError(undefined, 'no_token', 'authorization_missing')
  const scheme = /^[!-~]+/.exec(authorization)?.[0].toLowerCase() ?? ''
  if (scheme !== 'bearer' && !schemes.includes(scheme)) throw new OAuthError(undefined, 'no_token', 'scheme_not_bearer')
  const token = /^[!-~]+ ([A-Za-z0-9\-._~+/]+=*)$/.exec(authorization)?.[1]
  if (token === undefined) throw new OAuthError('invalid_request', 'malformed_request', 'authorization_malformed')
  return token
}

/**
 * Rejects a request with a token in its query or with two Authorization headers, because it is ambiguous.
 * @throws OAuthError `malformed_request`.
 */
export function refuseSecondToken({ url = '', rawHeaders }: Pick<IncomingMessage, 'rawHeaders' | 'url'>): void {
  const query = url.indexOf('?')
  const inQuery = query !== -1 && new URLSearchParams(url.slice(query)).has('access_token')
  if (inQuery) throw new OAuthError('invalid_request', 'malformed_request', 'token_in_query')
  if (countHeaders(rawHeaders, 'authorization') > 1)
    throw new OAuthError('invalid_request', 'malformed_request', 'authorization_repeated')
}

/** Counts a header field. Node's `headers` shows one value even if the field is repeated. */
export function countHeaders(rawHeaders: readonly string[], name: string): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const found = rawHeaders[at] as string
    if (found.length === name.length && found.toLowerCase() === name) count++
  }
  return count
}
