// Why the sidecar answers itself: what a program may not ask for, and what came between it and the upstream's answer.

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
  /** What to do next. */
  readonly description: string
  /** Why the issuer refused a token, in its own machine word. */
  readonly reason?: string | undefined
  /** Seconds after which it is worth trying again. */
  readonly retryAfter?: number
}

const unknown = 'whether it has done what was asked is unknown'

export const failures = {
  malformed: invalid(400, 'Send a well-formed HTTP/1.1 request.'),
  host: invalid(400, 'Send exactly one Host header.'),
  target: invalid(400, 'Ask for a path that begins with one slash, with everything beyond ASCII percent-encoded.'),
  ownToken: invalid(400, 'Send no Authorization header: the sidecar gets the tokens.'),
  page: invalid(403, 'Use a program: this sidecar is not for pages in a browser.'),
  statusIsRead: invalid(405, 'Read the status with GET or HEAD.'),
  late: invalid(408, 'Send a request without long pauses.'),
  expectation: invalid(417, 'Expect nothing but 100-continue.'),
  otherHost: invalid(421, 'Name the sidecar by a loopback address or localhost, and by its port.'),
  longHead: invalid(431, 'Send less than 16 KiB of headers.'),
  noTrace: unsupported(501, 'Leave TRACE: it would show the token that the sidecar adds.'),
  coding: unsupported(501, 'Send a body with Content-Length or in chunks, and in no other transfer coding.'),
  noTunnel: unsupported(501, 'Send requests to the sidecar as to a server: it opens no tunnels.'),
  noUpgrade: unsupported(501, 'Leave the Upgrade header out: the sidecar switches to no other protocol.'),
  version: unsupported(505, 'Speak HTTP/1.1: HTTP/1.0 cannot tell an answer that was cut from a whole one.'),
  busy: unavailable('Wait for answers: too many requests are under way.'),
  noAnswer: { status: 504, error: 'upstream_timeout', description: `The upstream gave no answer in time; ${unknown}.` },
  internal: failed(`The sidecar failed to pass the request on; ${unknown}. Its log has the cause.`),
  unfit: failed('The answer of the upstream is not one that HTTP/1.1 can carry.'),
  programGone: failed('The program has gone.'),
} as const satisfies Record<string, Failure>

/** The client's problems that pass by themselves. */
const passing: readonly Problem[] = ['cannot_connect', 'token_unavailable', 'not_begun', 'timed_out', 'closed']

/**
 * What a request failed of, by what the client rejected it with; undefined for an error that nobody expects. The client
 * throws before anything was sent where the request itself is not one that it can send.
 */
export function explainRejection(error: unknown): Failure | undefined {
  if (error instanceof TypeError || codeOf(error) === 'UND_ERR_INVALID_ARG')
    return invalid(400, `Nothing was sent: ${quote((error as Error).message)}.`)
  if (!(error instanceof ClientError)) return codeOf(error) === '' ? undefined : cut(codeOf(error))
  if (error.code === 'timed_out' && error.cause instanceof ClientError) return explainRejection(error.cause)
  const { code, reason, retryAfter = 1000 } = error
  const description = `${error.message}.`
  if (code === 'connection_lost') return failed(`${error.message}; ${unknown}.`)
  if (passing.includes(code)) return { ...unavailable(description), reason, retryAfter: Math.ceil(retryAfter / 1000) }
  return { ...failed(description), reason }
}

/** The upstream gave no answer that is one, by the code of undici or of Node. */
function cut(code: string): Failure {
  return failed(`The upstream broke off before its answer, or gave none that is valid HTTP (${code}); ${unknown}.`)
}

/** What Node's parser has against the bytes that a program sent. */
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
