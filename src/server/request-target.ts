// Normalizes a request's host and path before routing, and refuses those without a normal form (RFC 9112 §3.2, RFC 9113
// §8.3.1).
import { type IncomingMessage, METHODS } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { isSameHost } from '../core/authority.ts'
import { malformed } from '../core/errors.ts'
import { countHeaders } from '../verify/bearer.ts'

/** An HTTP scheme, an authority, and the path. */
const absoluteForm = /^https?:\/\/([^/?#]*)([/?][^#]*)?$/i

/** A path in printable ASCII, with an optional query. */
const originForm = /^\/[\x21\x22\x24-\x7e]*$/

/**
 * Rewrites a request before routing. A target in absolute form becomes its path, and its host replaces the Host header (RFC
 * 9112 §3.2.2). A method unknown to Node becomes TRACE, which no route has: HTTP/2 accepts any method, and Fastify would
 * log its whole routing table for each unknown one.
 */
export function normalizeRequest(request: IncomingMessage): IncomingMessage {
  const { url = '', httpVersionMajor, method = '' } = request
  if (httpVersionMajor === 2 && !METHODS.includes(method)) request.method = 'TRACE'
  if (url.startsWith('/') || httpVersionMajor === 2) return request
  const [, authority, rest = ''] = absoluteForm.exec(url) ?? []
  if (authority === undefined) return request
  request.headers.host = authority
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  return request
}

/** Checks whether a request is about the server as a whole: `OPTIONS *` (RFC 9110 §9.3.7). */
export function isServerWide({ method, url }: IncomingMessage): boolean {
  return url === '*' && method === 'OPTIONS'
}

/** Refuses a target that is not a path with an optional query. @throws OAuthError `malformed_request` */
export function requireOriginForm({ url = '' }: IncomingMessage): void {
  if (originForm.test(url)) return
  throw malformed('target_malformed', { found: describeTarget(url) })
}

/** Describes an invalid target without quoting it, because a query can contain a token. */
function describeTarget(url: string): string {
  if (url === '*') return 'an asterisk, which only OPTIONS may have'
  if (/[^\x21-\x7e]/.test(url)) return 'an octet that is not printable ASCII'
  if (url.includes('#')) return 'a fragment'
  const scheme = /^([a-z][a-z0-9+.-]{0,30}):/i.exec(url)?.[1]
  return scheme === undefined ? 'no slash at its start' : `the scheme ${scheme}`
}

/**
 * Returns the host of a request.
 * @throws OAuthError `malformed_request` if it is missing, repeated, or different from `:authority`.
 */
export function requireAuthority(request: IncomingMessage): string {
  const { headers, rawHeaders, httpVersionMajor } = request
  const { host } = headers
  const count = countHeaders(rawHeaders, 'host')
  if (count > 1) throw malformed('host_repeated')
  if (httpVersionMajor !== 2) {
    if (count === 0 || host === undefined) throw malformed('host_missing')
    return host
  }
  // The HTTP/1.1 parser accepts a request with HTTP/2.0 in its first line.
  if ((request as unknown as Partial<Http2ServerRequest>).stream === undefined)
    throw malformed('version_unsupported', { found: 'HTTP/2.0' })
  const { ':authority': authority = host, ':scheme': scheme } = headers as Readonly<Record<string, string | undefined>>
  if (authority === undefined) throw malformed('host_missing')
  if (host !== undefined && host !== authority && !isSameHost(host, authority)) throw malformed('host_repeated')
  if (scheme !== 'https' && scheme !== 'http') throw malformed('target_malformed', { found: `the scheme ${scheme}` })
  return authority
}
