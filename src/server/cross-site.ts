// Requests that a page of another origin makes a browser send. The browser adds the client certificate of its user by itself,
// so that the page would act as that client. Browsers say where a request comes from, and no page can change that
// (Fetch Metadata Request Headers §2.4, Fetch §3.2). A program sends neither header, and is served.
import type { IncomingMessage } from 'node:http'
import type { onRequestHookHandler } from 'fastify'
import { parseAuthority } from '../core/authority.ts'
import { connectionOf } from '../tls/connection.ts'
import { RequestError } from './errors.ts'
import { requireAuthority } from './request-target.ts'

/** What a browser says of a request by a page of this server, and of one by its user. */
const ownSites = ['same-origin', 'none']

/** An `onRequest` hook for routes that change something or answer with a secret. */
export const refuseCrossSite: onRequestHookHandler = ({ raw }, _reply, done) => done(findCrossSite(raw))

/** The refusal (403) of a request that a page of another origin made; undefined for any other. */
export function findCrossSite(request: IncomingMessage): RequestError | undefined {
  const { 'sec-fetch-site': site, origin } = request.headers
  // Sec-Fetch-Site is decisive where it is sent: behind a proxy that rewrites Host, Origin is not that of the listener.
  if (site !== undefined)
    return ownSites.includes(site as string) ? undefined : crossSite('Sec-Fetch-Site', String(site))
  return origin === undefined || isOwn(origin, request) ? undefined : crossSite('Origin', origin)
}

/** Whether an Origin is that of the request itself (RFC 6454 §5). */
function isOwn(origin: string, request: IncomingMessage): boolean {
  const scheme = connectionOf(request) === undefined ? 'http' : 'https'
  if (!origin.startsWith(`${scheme}://`)) return false
  const theirs = parseAuthority(origin.slice(scheme.length + 3))
  const ours = parseAuthority(requireAuthority(request))
  const standard = scheme === 'https' ? 443 : 80
  return theirs !== undefined && theirs.host === ours?.host && (theirs.port ?? standard) === (ours.port ?? standard)
}

function crossSite(header: string, found: string): RequestError {
  return new RequestError(403, 'cross_site', { header, found })
}
