// Calls a handler that was written for HTTP/1.1 over HTTP/2, with what Node's compatibility layer leaves open.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, Http2ServerResponse } from 'node:http2'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A response over HTTP/2 that never looks complete when it is cut off: Node would end its stream without an error then. */
export class CompleteResponse extends Http2ServerResponse {
  override destroy(error?: Error): this {
    if (this.headersSent && !this.writableEnded) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else super.destroy(error)
    return this
  }
}

/**
 * Calls a handler over HTTP/2. An Express app behind a wrapper replaces the prototypes by those of HTTP/1.1, whose methods would
 * throw in callbacks of Node outside of any request, which would end the process, so that they are restored.
 * @throws TypeError for such a handler.
 */
export function callOverHttp2(handler: Handler, request: IncomingMessage, response: ServerResponse): void {
  const ofRequest = Object.getPrototypeOf(request)
  const ofResponse = Object.getPrototypeOf(response)
  let isReplaced = false
  try {
    handler(request, response)
  } finally {
    isReplaced = Object.getPrototypeOf(request) !== ofRequest || Object.getPrototypeOf(response) !== ofResponse
    if (isReplaced) {
      Object.setPrototypeOf(request, ofRequest)
      Object.setPrototypeOf(response, ofResponse)
    }
  }
  if (isReplaced) throw new TypeError(wrappedExpress)
}

/** What is wrong with such a handler. */
export const wrappedExpress =
  'the handler passes HTTP/2 requests to Express, which does not support them; set http2: false, or pass the app itself to mutualTls(…)'

/** Returns whether a handler is an Express or Connect app, which replaces the prototype of each request by one for HTTP/1.1. */
export function isConnectApp(handler: Handler): boolean {
  return typeof (handler as { handle?: unknown }).handle === 'function'
}
