// CONNECT, by which a client asks a proxy for a tunnel (RFC 9110 §9.3.6). No server here is a proxy. Node gives such a request
// to a listener of its own, and without one ends the connection in silence; here it is refused as any other request is.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from './errors.ts'

/** What the server as a whole supports. */
export const methods = 'GET, HEAD, POST, OPTIONS'

/** Refuses CONNECT, whatever its target. @throws RequestError 405 */
export function refuseConnect({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.method !== 'CONNECT') return
  reply.header('allow', methods)
  throw new RequestError(405, 'method_not_allowed', { found: 'CONNECT', expected: methods })
}
