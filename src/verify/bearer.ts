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
  if (scheme !== 'bearer' && !schemes.includes(scheme))
    throw new OAuthError(undefined, 'no_token', 'scheme_not_bearer', { found: findScheme(authorization) })
  const token = /^[!-~]+ ([A-Za-z0-9\-._~+/]+=*)$/.exec(authorization)?.[1]
  if (token === undefined)
    throw new OAuthError('invalid_request', 'malformed_request', 'authorization_malformed', {
      found: describeCredentials(authorization.slice(scheme.length)),
    })
  return token
}

/** Describes what follows the scheme, without quoting it: it can contain a token. */
function describeCredentials(rest: string): string {
  if (rest.trim() === '') return 'no token'
  if (/^(?! \S)/.test(rest)) return 'more than one space, or another character, behind the scheme'
  return 'a space, a comma or another character that no token has'
}

/**
 * Returns the scheme of an Authorization header, for an event. A client that omits the scheme sends its token in that place;
 * therefore only a word in the form of a scheme, such as `AWS4-HMAC-SHA256`, with credentials behind it, is one.
 */
function findScheme(authorization: string): string | undefined {
  if (!authorization.includes(' ')) return authorization === '' ? 'an empty value' : 'one word without a scheme'
  const [, scheme] =
    /^(?=[A-Za-z])((?:[A-Za-z]+\d{0,3}|\d{1,3})(?:[-_](?:[A-Za-z]+\d{0,3}|\d{1,3}))*) ./.exec(authorization) ?? []
  return scheme !== undefined && scheme.length <= longestScheme ? scheme : undefined
}

/** Characters; shorter than any token or secret of this server. */
const longestScheme = 32

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
