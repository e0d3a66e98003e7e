// Builds the HTTP response to a refusal: status, header fields and body (RFC 6749 §5.2, RFC 6750 §3). The Fastify plugin
// and the byte-level writer send it.

import type { ErrorCode, OAuthError, Reason } from '../core/errors.ts'
import { acceptSignature } from '../core/signed-request.ts'

export interface RefusalContext {
  /** The Authorization header of the request. */
  readonly authorization?: string | undefined
  /** URL of the protected resource's metadata (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** For refusals with an HTTP status of their own, such as 404 or 415. */
  readonly status?: number | undefined
  /** Whether a token could make the request succeed. Responses with 401 and 403 always carry a challenge. */
  readonly challenge?: boolean | undefined
}

export interface RefusalAnswer {
  readonly status: number
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: RefusalBody
  /** Whether the connection ends with the response, so that no client pool reuses it. */
  readonly endsConnection: boolean
}

export interface RefusalBody {
  readonly error?: ErrorCode
  readonly error_description: string
  readonly reason: Reason
}

/** Reasons that a signed request mends, or a better one: the challenge says what to sign. */
const asksForSignature: ReadonlySet<Reason> = new Set<Reason>([
  'signature_missing',
  'signature_invalid',
  'digest_invalid',
])

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_token: 401,
  invalid_client: 401,
  invalid_proof: 401,
  use_session_binding: 401,
  use_signed_request: 401,
  invalid_signature: 401,
  insufficient_scope: 403,
  temporarily_unavailable: 503,
}

/** Reasons in the certificate: only a new handshake can change the outcome. */
const endsConnection: ReadonlySet<Reason> = new Set<Reason>([
  'certificate_untrusted',
  'certificate_expired',
  'certificate_revoked',
])

/** Builds the response to a refused request. */
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
      ...(asksForSignature.has(reason) && { 'accept-signature': acceptSignature }),
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
 * Builds the challenge. With a missing scope it names the scopes that the request needs (RFC 6750 §3). A client that authenticated with Basic is challenged with Basic (RFC 6749 §5.2). A request without
 * a token learns where to get one, without an error code (RFC 6750 §3).
 */
function buildChallenge(
  { code, message, detail, facts }: OAuthError,
  { authorization, resourceMetadata }: RefusalContext,
): string {
  if (code === 'invalid_client' && /^basic /i.test(authorization ?? '')) return 'Basic realm="tlsbound"'
  const parameters = [
    ...(code === undefined ? [] : [`error="${code}"`, `error_description="${message}"`]),
    ...(code === 'insufficient_scope' && detail === 'scope' ? [`scope="${facts.expected}"`] : []),
    ...(resourceMetadata === undefined ? [] : [`resource_metadata="${resourceMetadata}"`]),
  ]
  return parameters.length > 0 ? `Bearer ${parameters.join(', ')}` : 'Bearer realm="tlsbound"'
}
