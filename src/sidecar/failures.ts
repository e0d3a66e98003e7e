// The sidecar's own error responses: for requests that it rejects, and for failures between it and the upstream.

import { ClientError, codeOf, type Problem } from '../client/errors.ts'
import { quote } from '../outgoing/failure.ts'

export interface Failure {
  readonly status: number
  readonly error:
    | 'invalid_request'
    | 'not_supported'
    | 'temporarily_unavailable'
    | 'upstream_failed'
    | 'upstream_timeout'
  /** What to do. */
  readonly description: string
  /** The issuer's reason for refusing a token. */
  readonly reason?: string | undefined
  /** Seconds until a retry makes sense. */
  readonly retryAfter?: number
}

const unknown = 'the request may have been processed'

export const failures = {
  malformed: invalid(400, 'Send a well-formed HTTP/1.1 request.'),
  host: invalid(400, 'Send exactly one Host header.'),
  target: invalid(400, 'Request a path that begins with one slash, with non-ASCII characters percent-encoded.'),
  ownToken: invalid(400, 'Send no Authorization header: the sidecar requests the tokens.'),
  page: invalid(403, 'Use a local program: this sidecar rejects requests from web pages.'),
  statusIsRead: invalid(405, 'Read the status with GET or HEAD.'),
  late: invalid(408, 'Send a request without long pauses.'),
  expectation: invalid(417, 'Send no expectation other than 100-continue.'),
  otherHost: invalid(421, 'Send a Host header with a loopback address or localhost, and the port of the sidecar.'),
  longHead: invalid(431, 'Send less than 16 KiB of headers.'),
  noTrace: unsupported(501, 'Use another method: TRACE would reveal the token that the sidecar adds.'),
  coding: unsupported(501, 'Send the body with Content-Length or in chunks; no other transfer coding is supported.'),
  noTunnel: unsupported(501, 'Send requests to the sidecar as to a server: CONNECT is not supported.'),
  noUpgrade: unsupported(501, 'Omit the Upgrade header: the sidecar supports no other protocol.'),
  version: unsupported(505, 'Use HTTP/1.1: in HTTP/1.0 a truncated response looks complete.'),
  busy: unavailable('Wait for responses: too many requests are under way.'),
  noAnswer: {
    status: 504,
    error: 'upstream_timeout',
    description: `The upstream did not respond in time; ${unknown}.`,
  },
  internal: failed(`Internal error of the sidecar; ${unknown}. The cause is in its log.`),
  unfit: failed('The response of the upstream cannot be sent over HTTP/1.1.'),
  programGone: failed('The program has disconnected.'),
} as const satisfies Record<string, Failure>

/** Problems of the client that can end without a change. */
const passing: readonly Problem[] = ['cannot_connect', 'token_unavailable', 'not_begun', 'timed_out', 'closed']

/**
 * Explains why the client rejected a request; undefined for an unexpected error. The client throws a TypeError before
 * anything is sent when the request is invalid.
 */
export function explainRejection(error: unknown): Failure | undefined {
  if (error instanceof TypeError || codeOf(error) === 'UND_ERR_INVALID_ARG')
    return invalid(400, `Nothing was sent: ${quote((error as Error).message)}.`)
  if (!(error instanceof ClientError)) return codeOf(error) === '' ? undefined : cut(codeOf(error))
  if (error.code === 'timed_out' && error.cause instanceof ClientError) return explainRejection(error.cause)
  const { code, reason, retryAfter = 1000 } = error
  const description = `${error.message}.`
  if (code === 'body_too_long_to_sign') return invalid(413, `Nothing was sent: ${description}`)
  if (code === 'connection_lost') return failed(`${error.message}; ${unknown}.`)
  if (passing.includes(code)) return { ...unavailable(description), reason, retryAfter: Math.ceil(retryAfter / 1000) }
  return { ...failed(description), reason }
}

/** Builds the failure for an invalid response of the upstream, with the code of undici or of Node. */
function cut(code: string): Failure {
  return failed(`The upstream closed the connection without a valid HTTP response (${code}); ${unknown}.`)
}

/** Explains an error of Node's HTTP parser. */
export function readParserError({ code }: NodeJS.ErrnoException): Failure {
  if (code === 'HPE_HEADER_OVERFLOW') return failures.longHead
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? failures.late : failures.malformed
}

function invalid(status: number, description: string) {
  return { status, error: 'invalid_request', description } as const
}

function unsupported(status: number, description: string) {
  return { status, error: 'not_supported', description } as const
}

function unavailable(description: string) {
  return { status: 503, error: 'temporarily_unavailable', description, retryAfter: 1 } as const
}

function failed(description: string) {
  return { status: 502, error: 'upstream_failed', description } as const
}
