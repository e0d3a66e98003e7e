// The common interface of HTTP/1.1 and HTTP/2 over one TLS connection.
import { type Dispatcher, errors } from 'undici'

export interface Transport {
  readonly dispatcher: Dispatcher
  /** The number of simultaneous requests. */
  readonly capacity: number
  /** Whether it accepts new requests. */
  readonly open: boolean
  /** Resolves when the connection is closed or closing, with the cause unless the client closed it. */
  readonly closed: Promise<Error | undefined>
}

/** The server did not process the request (RFC 9113 §8.7), so any request may be sent again. */
export class UnprocessedError extends Error {
  readonly code = 'connection_lost'

  constructor(options?: ErrorOptions) {
    super('the server refused the request before it processed it', options)
  }
}

/** Builds the error for a request that came after the end of its connection; nothing of it was sent. */
export function endedError(): Error {
  return new errors.ClientClosedError('the channel has ended and does not reconnect')
}
