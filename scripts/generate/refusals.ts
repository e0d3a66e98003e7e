// docs/reference/refusals.md: every reason of a refusal with its status and error code, every detail, every fact.
import { classify, type DetailEntry, details, factNames } from '../../src/core/details.ts'
import { type ErrorCode, type Reason, reasons } from '../../src/core/errors.ts'
import { type Files, generatedFrom, table } from './generator.ts'

interface Answer {
  readonly status: number
  /** undefined: the response has no `error`. */
  readonly error: ErrorCode | undefined
  /** The code at the OAuth endpoints, if it differs. */
  readonly atToken?: ErrorCode
}

const answer = (status: number, error: ErrorCode | undefined, atToken?: ErrorCode): Answer => ({
  status,
  error,
  ...(atToken !== undefined && { atToken }),
})
const badToken = answer(401, 'invalid_token')
const badCertificate = answer(401, 'invalid_token', 'invalid_client')
const badClient = answer(401, 'invalid_client')
const badGrant = answer(400, 'invalid_grant')
const badRequest = answer(400, 'invalid_request')
const unavailable = answer(503, 'temporarily_unavailable')

/** The response for each reason. test/core/errors.test.ts compares it with the responses of a server. */
export const answers: Readonly<Record<Reason, Answer>> = {
  no_token: answer(401, undefined),
  malformed_request: badRequest,
  no_certificate: badCertificate,
  certificate_untrusted: badCertificate,
  certificate_expired: badCertificate,
  certificate_revoked: badCertificate,
  certificate_mismatch: badToken,
  connection_mismatch: badToken,
  binding_unavailable: badRequest,
  confirmation_malformed: badToken,
  bad_signature: badToken,
  wrong_type: badToken,
  wrong_issuer: badToken,
  wrong_audience: badToken,
  not_yet_valid: badToken,
  expired: badToken,
  claims_malformed: badToken,
  binding_too_weak: badToken,
  proof_missing: answer(401, 'use_session_binding'),
  proof_invalid: answer(401, 'invalid_proof'),
  signature_missing: answer(401, 'use_signed_request'),
  signature_invalid: answer(401, 'invalid_signature'),
  digest_invalid: answer(401, 'invalid_signature'),
  revoked: badToken,
  scope_missing: answer(403, 'insufficient_scope'),
  unknown_client: badClient,
  client_mismatch: badClient,
  client_disabled: badClient,
  grant_type_unsupported: answer(400, 'unsupported_grant_type'),
  grant_type_not_allowed: answer(400, 'unauthorized_client'),
  scope_denied: answer(400, 'invalid_scope'),
  binding_not_allowed: badRequest,
  target_unknown: answer(400, 'invalid_target'),
  refresh_unknown: badGrant,
  refresh_expired: badGrant,
  refresh_reused: badGrant,
  refresh_revoked: badGrant,
  refresh_certificate_mismatch: badGrant,
  subject_token_invalid: badRequest,
  issuer_unavailable: unavailable,
  report_signature_invalid: badClient,
  reporter_unavailable: unavailable,
  store_unavailable: unavailable,
  upstream_unavailable: unavailable,
  upstream_failed: answer(502, 'temporarily_unavailable'),
  upstream_timeout: answer(504, 'temporarily_unavailable'),
}

export function generate(): Files {
  return { 'docs/reference/refusals.md': buildPage() }
}

function buildPage(): string {
  return `# Refusals

${generatedFrom('src/core/errors.ts and src/core/details/', 'refusals')}
This page lists every reason and every detail of a refusal, with what to do about it.

A refusal is answered with JSON: \`{ "error", "error_description", "reason" }\`. \`error\` is the code of the specification,
\`reason\` is one of the closed list below. A protected resource adds \`WWW-Authenticate: Bearer\` with the address of its
metadata, and for a missing scope with the scopes that the request needs. Every refusal is one [security event](events.md), except that of a reused refresh token.

The event has the \`reason\`, and a \`detail\` that says exactly why. It also has \`facts\` where something was compared. So has the
log of the server at level debug. The client receives the detail only where it is about the form of its own request or about
its own certificate. Where the sentence of the reason is false for a detail, the client receives another one.

These members of the event identify the parties:

| member | meaning |
|---|---|
| \`client_id\` | the owner of the token, if the server recognized the token; otherwise the client that the request names, authenticated or not. A request to a resource names none |
| \`by\` | the client that the request names, if it is not the owner of the token |
| \`jti\`, \`grant\` | the recognized token and its grant |
| \`bound_to\` | the certificate that the recognized token is bound to |
| \`x5t#S256\` | the certificate of the connection that presented it |
| \`came_with\` | how the two certificates compare. Absent if the refresh token had expired or was revoked, if the token is not the cause, such as for a malformed body, or if the server cannot see the certificate, such as behind a proxy that terminates TLS |
| \`token_binding\` | the level of the recognized token; the fact of the same name is the requested one |
| \`peer\`, \`peer_port\` | the address that the request came from |

The refusal of a reused refresh token writes two events. \`refresh.reused\` is the alarm, with \`detail\` but
without \`reason\`, \`facts\` and \`status\`. \`token.refused\` is the answer, with all of them. Both have \`client_id\`, \`grant\`, \`bound_to\` and
\`request_id\`.

If an event cannot be written, the request is answered with 503 and \`store_unavailable\`. Requests that produce no event still
succeed.

## Reasons

Where HTTP has a status of its own, the reason is \`malformed_request\` with that status: 404, 405, 408, 413, 415, 417, 421, 431,
and 403 for a page of another origin. The details \`other_owner\` and \`not_a_resource\` of \`client_mismatch\` have status 200: the
response does not tell the client that the token belongs to another one.

${table(['reason', 'status', 'error', 'what to do'], Object.entries(reasons).map(describeReason))}
## Details

\`{name}\` in a sentence stands for a [fact](#facts).

*Who acts* is the party that can remove the cause: the operator of the \`client\`, the \`operator\` of this server, the \`developer\` of the
program that embeds it, the \`issuer\` of the token or subject token, or the \`reporter\` of leaked tokens. *Kind* is one of:

- \`attack\`: may be a sign of an attack. Find out first who sent the request. An event \`theft.suspected\` says how certain a theft is.
- \`fault\`: a mistake in a program, a setting or a certificate, or an outage.
- \`routine\`: expected in normal operation, such as an expired token.

The kind is that of the detail, not of the single request. Whatever the kind, \`came_with\` \`other_certificate\` or \`no_certificate\` means
that another party has the token, even if it has expired or was revoked. After a theft, compare \`peer\` with the addresses of the client:
the thief can present a revoked token too.

Before you trust an authority, or register a name or a certificate because of a refusal, make sure that the request came from that client.
An attacker causes the same refusals.

*Sent to the client* says \`yes\` where the client receives cause and remedy, or is the sentence that it receives in place of that of the
reason.

${Object.entries(details).map(buildSection).join('\n')}
## Facts

Texts are cut at 256 characters. A text that looks like a token is shortened to its beginning.

${table(
  ['fact', 'meaning'],
  Object.entries(factNames).map(([name, meaning]) => [`\`${name}\``, meaning]),
)}`
}

function describeReason([reason, sentence]: [string, string]): string[] {
  const { status, error, atToken } = answers[reason as Reason]
  const code = error === undefined ? 'none' : `\`${error}\``
  const codes = atToken === undefined ? code : `${code}; \`${atToken}\` at the OAuth endpoints`
  return [`[\`${reason}\`](#${reason})`, String(status), codes, sentence]
}

function buildSection([reason, entries]: [string, Readonly<Record<string, DetailEntry>>]): string {
  const rows = Object.entries(entries).map(([detail, { cause, remedy, isPublic, sentence = '' }]) => {
    const { actor, sign } = classify(reason as Reason, detail)
    return [`\`${detail}\``, cause, remedy, actor, sign, isPublic === true ? 'yes' : sentence]
  })
  return `### ${reason}\n\n${table(['detail', 'cause', 'what to do', 'who acts', 'kind', 'sent to the client'], rows)}`
}
