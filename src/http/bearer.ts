// Takes the token out of a request: from the Authorization header, and from nowhere else (RFC 6750 §2.1, §5.3).
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../core/errors.ts'

type RawRequest = Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'url'>

/** Reads the bearer token of a request. @throws OAuthError `no_token` or `malformed_request`. */
export function readBearerToken(request: RawRequest): string {
  if (hasTokenInQuery(request.url ?? '') || hasTwoAuthorizations(request.rawHeaders))
    throw new OAuthError('invalid_request', 'malformed_request')
  const { authorization } = request.headers
  if (authorization === undefined || !/^bearer(?![!-~])/i.test(authorization))
    throw new OAuthError(undefined, 'no_token')
  const token = authorization.slice(7)
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token) || authorization[6] !== ' ')
    throw new OAuthError('invalid_request', 'malformed_request')
  return token
}

function hasTokenInQuery(url: string): boolean {
  const at = url.indexOf('?')
  return at !== -1 && new URLSearchParams(url.slice(at)).has('access_token')
}

/** Node keeps the first of several Authorization headers and drops the others without a word. */
function hasTwoAuthorizations(rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++
  }
  return count > 1
}
