// What carries the requests of one TLS connection, whatever its protocol.
import { type Dispatcher, errors } from 'undici'

export interface Transport {
  readonly dispatcher: Dispatcher
  /** How many requests it carries at a time. */
  readonly capacity: number
  /** Whether it takes new requests. */
  readonly open: boolean
  /** Resolves when the connection is gone, or about to go; with what ended it, if that was no plan of ours. */
  readonly closed: Promise<Error | undefined>
}

/** The server has said that it did not begin with a request (RFC 9113 §8.7), so it may be sent again, whatever it is. */
export class UnprocessedError extends Error {
  readonly code = 'connection_lost'

  constructor(options?: ErrorOptions) {
    super('the server refused the request before it began with it', options)
  }
}

/** What a request fails with that came too late for its connection; nothing of it was sent. */
export function endedError(): Error {
  return new errors.ClientClosedError('the channel has ended, and never reconnects')
}
