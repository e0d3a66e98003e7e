// Cross-site requests. A browser adds its user's client certificate to a request by a page of another origin, so the page
// would act as that client. Browsers state the origin in headers that no page can change (Fetch Metadata Request Headers
// §2.4, Fetch §3.2). Programs send neither header and are served.
import type { IncomingMessage } from 'node:http'
import type { onRequestHookHandler } from 'fastify'
import { parseAuthority } from '../core/authority.ts'
import { connectionOf } from '../tls/connection.ts'
import { RequestError } from './errors.ts'
import { requireAuthority } from './request-target.ts'

/** Values of Sec-Fetch-Site for a request by a page of this server, or by the user. */
const ownSites = ['same-origin', 'none']

/** Is an `onRequest` hook for routes that change state or return a secret. */
export const refuseCrossSite: onRequestHookHandler = ({ raw }, _reply, done) => done(findCrossSite(raw))

/** Returns the refusal (403) of a request from a page of another origin, else undefined. */
export function findCrossSite(request: IncomingMessage): RequestError | undefined {
  const { 'sec-fetch-site': site, origin } = request.headers
  // Sec-Fetch-Site takes precedence: behind a proxy that rewrites Host, Origin differs from the listener's.
  if (site !== undefined)
    return ownSites.includes(site as string) ? undefined : crossSite('Sec-Fetch-Site', String(site), origin)
  return origin === undefined || isOwn(origin, request) ? undefined : crossSite('Origin', origin)
}

/** Checks whether an Origin is that of the request itself (RFC 6454 §5). */
function isOwn(origin: string, request: IncomingMessage): boolean {
  const scheme = connectionOf(request) === undefined ? 'http' : 'https'
  if (!origin.startsWith(`${scheme}://`)) return false
  const presented = parseAuthority(origin.slice(scheme.length + 3))
  const expected = parseAuthority(requireAuthority(request))
  const standard = scheme === 'https' ? 443 : 80
  return (
    presented !== undefined &&
    presented.host === expected?.host &&
    (presented.port ?? standard) === (expected.port ?? standard)
  )
}

function crossSite(header: string, found: string, origin?: string): RequestError {
  return new RequestError(403, 'cross_site', { header, found, origin })
}
