// CONNECT (RFC 9110 §9.3.6): Node gives such a request to a listener of its own, with a socket in the place of a response.
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'

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
