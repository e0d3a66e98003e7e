// Access control of the ops listener. A request must name this machine, so that no browser page gets here by DNS rebinding,
// and carry the ops token. Routes can opt out of the token; unmatched paths require it.
import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { parseAuthority } from '../core/authority.ts'
import { OAuthError } from '../core/errors.ts'
import { RequestError } from '../server/errors.ts'
import { requireAuthority, requireOriginForm } from '../server/request-target.ts'
import { readBearerToken, refuseSecondToken } from '../verify/bearer.ts'
import { OpsRefusal } from './refusals.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route needs no token, for any client on this machine. */
    openOnLoopback?: boolean
  }
}

const loopbackHosts = ['127.0.0.1', 'localhost', '[::1]']

/**
 * Refuses a request unless its Host is a loopback address or localhost, with the port of the listener.
 * @throws RequestError 421, or OAuthError `malformed_request` for a missing or repeated Host, or a target that is not a
 * path.
 */
export function requireLoopbackHost({ raw }: FastifyRequest): void {
  const host = requireAuthority(raw)
  requireOriginForm(raw)
  const named = parseAuthority(host)
  const port = raw.socket.localPort
  if (named === undefined || !loopbackHosts.includes(named.host) || (named.port ?? 80) !== port)
    throw new RequestError(421, 'host_not_loopback', { host, expected: `localhost:${port}` })
}

/** Creates the check of the ops token. It runs in constant time. */
export function createTokenCheck(token: string): (request: FastifyRequest) => void {
  const digest = (text: string) => hash('sha256', text, 'buffer')
  const expected = digest(token)
  return ({ raw }) => {
    refuseSecondToken(raw)
    if (timingSafeEqual(digest(readBearerToken(raw.headers.authorization)), expected)) return
    throw new OpsRefusal(
      401,
      ['this is not the ops token of this server; the file in TLSBOUND_OPS_TOKEN_FILE contains it'],
      new OAuthError('invalid_token', 'bad_signature', 'ops_token'),
    )
  }
}
