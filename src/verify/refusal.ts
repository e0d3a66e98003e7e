// A refusal as an HTTP answer: status, header fields and body (RFC 6749 §5.2, RFC 6750 §3). Nothing is written here; each
// writer (the Fastify plugin, the byte-level answer) sends what this returns.
import type { ErrorCode, OAuthError, Reason } from '../core/errors.ts'

export interface RefusalContext {
  /** The Authorization header of the request. */
  readonly authorization?: string | undefined
  /** URL of the protected resource's metadata (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** Only for refusals that HTTP itself has a status for, such as 404 or 415. */
  readonly status?: number | undefined
  /** Whether a token could make the request succeed. Answers with 401 and 403 always carry a challenge. */
  readonly challenge?: boolean | undefined
}

export interface RefusalAnswer {
  readonly status: number
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: RefusalBody
  /** Whether the connection ends with the answer, so that no pool reuses it. */
  readonly endsConnection: boolean
}

export interface RefusalBody {
  readonly error?: ErrorCode
  readonly error_description: string
  readonly reason: Reason
}

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_token: 401,
  invalid_client: 401,
  invalid_proof: 401,
  use_session_binding: 401,
  insufficient_scope: 403,
  temporarily_unavailable: 503,
}

/** Reasons that lie in the certificate: another handshake may have another outcome, this connection cannot. */
const endsConnection: ReadonlySet<Reason> = new Set<Reason>([
  'certificate_untrusted',
  'certificate_expired',
  'certificate_revoked',
])

/** Builds the answer to a request that is refused. */
export function buildRefusal(refusal: OAuthError, context: RefusalContext = {}): RefusalAnswer {
  const { code, reason } = refusal
  const status = context.status ?? (code === undefined ? 401 : (statuses[code] ?? 400))
  const isChallenged = status === 401 || code === 'insufficient_scope' || (context.challenge === true && status < 500)
  return {
    status,
    headers: {
      'cache-control': 'no-store',
      pragma: 'no-cache',
      ...(isChallenged && { 'www-authenticate': buildChallenge(refusal, context) }),
      ...(status === 503 && { 'retry-after': '1' }),
    },
    body: buildBody(refusal),
    endsConnection: endsConnection.has(reason),
  }
}

/** Builds the body of a refusal. */
export function buildBody({ code, message, reason }: OAuthError): RefusalBody {
  return { ...(code !== undefined && { error: code }), error_description: message, reason }
}

/**
 * RFC 6749 §5.2: a client that authenticated with Basic is challenged with Basic. RFC 6750 §3: a request without a token learns
 * where to get one, not that it made an error.
 */
function buildChallenge({ code, message }: OAuthError, { authorization, resourceMetadata }: RefusalContext): string {
  if (code === 'invalid_client' && /^basic /i.test(authorization ?? '')) return 'Basic realm="tlsbound"'
  const parameters = [
    ...(code === undefined ? [] : [`error="${code}"`, `error_description="${message}"`]),
    ...(resourceMetadata === undefined ? [] : [`resource_metadata="${resourceMetadata}"`]),
  ]
  return parameters.length > 0 ? `Bearer ${parameters.join(', ')}` : 'Bearer realm="tlsbound"'
}
