// Who may talk to the ops listener: requests that name this machine, so that no page of a browser gets here by a name
// that it has moved (DNS rebinding), and bring the ops token. Routes that say so need no token; unknown addresses do.
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
    /** Whether anybody on this machine may ask. */
    openOnLoopback?: boolean
  }
}

const loopbackHosts = ['127.0.0.1', 'localhost', '[::1]']

/**
 * Refuses a request unless its Host is a loopback address or localhost, with the port of the listener.
 * @throws RequestError 421, or OAuthError `malformed_request` for none, two, or a target that is no path.
 */
export function requireLoopbackHost({ raw }: FastifyRequest): void {
  const host = requireAuthority(raw)
  requireOriginForm(raw)
  const named = parseAuthority(host)
  const port = raw.socket.localPort
  if (named === undefined || !loopbackHosts.includes(named.host) || (named.port ?? 80) !== port)
    throw new RequestError(421, 'host_not_loopback', { host, expected: `localhost:${port}` })
}

/** Builds the check of the ops token, which takes as long for a token that is nearly right. */
export function createTokenCheck(token: string): (request: FastifyRequest) => void {
  const digest = (text: string) => hash('sha256', text, 'buffer')
  const expected = digest(token)
  return ({ raw }) => {
    refuseSecondToken(raw)
    if (timingSafeEqual(digest(readBearerToken(raw.headers.authorization)), expected)) return
    throw new OpsRefusal(
      401,
      ['this is not the ops token of this server, which is in the file that TLSBOUND_OPS_TOKEN_FILE names'],
      new OAuthError('invalid_token', 'bad_signature', 'ops_token'),
    )
  }
}
