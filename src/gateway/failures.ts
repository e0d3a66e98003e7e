// The refusals for failures between the gateway and an upstream. The log and the event have the cause, the client only the reason.
import { malformed, OAuthError, type Why } from '../core/errors.ts'
import { OutgoingError, type OutgoingProblem, quote } from '../outgoing/failure.ts'
import type { RelayFailure } from '../relay/relay.ts'
import type { Route } from './routes.ts'

export interface UpstreamRefusal {
  readonly status: number
  readonly refusal: OAuthError
}

/** Problems of a TLS connection that only a change of files or settings mends. */
const ofTls: ReadonlySet<OutgoingProblem> = new Set<OutgoingProblem>([
  ...(['untrusted', 'name_mismatch', 'outside_validity', 'own_certificate_refused', 'own_files_unusable'] as const),
  ...(['not_tls', 'version', 'handshake_failed'] as const),
])

/** Describes a failure; undefined for an unexpected exception, and for a client that has disconnected. */
export function describeFailure(
  failure: RelayFailure,
  error: Error | undefined,
  { upstream: { text: address }, timeout }: Route,
): UpstreamRefusal | undefined {
  if (failure === 'gone') return undefined
  if (failure === 'late') return { status: 408, refusal: malformed('request_timed_out', { limit: timeout }) }
  if (failure === 'unfit') return refuse(502, 'upstream_failed', 'unfit', { address })
  if (failure === 'no_response') return refuse(504, 'upstream_timeout', 'no_response', { address, limit: timeout })
  if (error instanceof OutgoingError) {
    const { code, finding: found } = error
    if (code === 'timed_out') return refuse(504, 'upstream_timeout', 'connect', { address })
    if (ofTls.has(code)) return refuse(503, 'upstream_unavailable', 'not_trusted', { address, found })
    return refuse(503, 'upstream_unavailable', 'unreachable', { address, found })
  }
  const { code = '', name, message } = error as NodeJS.ErrnoException
  // undici checks the request before it opens a connection.
  if (code === 'UND_ERR_INVALID_ARG') return { status: 400, refusal: malformed('header_malformed', { code }) }
  if (name === 'HTTPParserError' || /^HPE_|OVERFLOW|LENGTH_MISMATCH/.test(code))
    return refuse(502, 'upstream_failed', 'response_malformed', { address, found: quote(message) })
  return code === '' ? undefined : refuse(502, 'upstream_failed', 'cut_off', { address, found: code })
}

function refuse(status: number, ...why: Why): UpstreamRefusal {
  return { status, refusal: new OAuthError('temporarily_unavailable', ...why) }
}

/** The refusal of a request beyond a limit. */
export function tooMany(...why: Why): UpstreamRefusal {
  return refuse(503, ...why)
}
