// CONNECT (RFC 9110 §9.3.6): Node passes such a request to a separate listener, with a socket instead of a response.
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'

/**
 * Converts the arguments of a `connect` listener into those of a `request` listener. Over HTTP/1.1, the response closes the socket,
 * because the octets that follow could belong to the tunnel.
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
