// CONNECT, by which a client asks a proxy for a tunnel (RFC 9110 §9.3.6). No server here is a proxy. Node gives such a request
// to a listener of its own, and without one ends the connection in silence; here it is refused as any other request is.
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
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

/**
 * Makes of what Node gives to the listener of `connect` what it gives to that of `request`. Over HTTP/1.1 that is a socket,
 * which ends with the answer, since the octets that follow could belong to the tunnel.
 */
export function toResponse(request: IncomingMessage, peer: Http2ServerResponse | Socket): ServerResponse {
  if (!('remoteAddress' in peer)) {
    request.url = '*' // over HTTP/2 there is no path (RFC 9113 §8.5)
    return peer as unknown as ServerResponse
  }
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(peer)
  peer.on('error', () => peer.destroy())
  response.on('finish', () => peer.end(() => peer.destroy()))
  return response
}
