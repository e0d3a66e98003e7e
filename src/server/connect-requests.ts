// CONNECT asks a proxy for a tunnel (RFC 9110 §9.3.6). No server here is a proxy. Node passes such a request to a separate
// listener, or else closes the connection without a response. Here it is refused like any other request.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from './errors.ts'

/** The methods that the server supports at all. */
export const methods = 'GET, HEAD, POST, OPTIONS'

/** Refuses CONNECT for any target. @throws RequestError 405 */
export function refuseConnect({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.method !== 'CONNECT') return
  reply.header('allow', methods)
  throw new RequestError(405, 'method_not_allowed', { found: 'CONNECT', expected: methods })
}
