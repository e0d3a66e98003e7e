// The errors of a client, with messages that say what to do. A resource's error response is a response, not an error.
import { explainFailure, OutgoingError, type OutgoingProblem } from '../outgoing/failure.ts'

/** Every problem that a client reports, with a sentence that says what to do. The list is closed. */
export const problems = {
  cannot_connect: 'No TLS connection could be opened; check the address of the server, and whether it runs',
  server_untrusted: 'The server certificate is expired, or not issued by an authority in ca; check both',
  server_name_mismatch: 'The server certificate is for another name; check the origin',
  certificate_refused: 'The server rejected the client certificate in the handshake; use one that it accepts',
  identity_unusable: 'The certificate, private key or authorities of the client are invalid',
  issuer_unusable: 'The metadata of the issuer is invalid; check the issuer',
  token_refused: 'The issuer refused to issue a token; see the reason',
  token_unavailable: 'The issuer cannot issue a token at the moment; try again later',
  token_unusable: 'The response of the issuer contains no valid token; check the issuer',
  token_bound_elsewhere: 'The token is bound to another connection or certificate and was not used; check the issuer',
  proof_impossible: 'No binding proof can be built; it requires TLS 1.3 and a key of P-256, P-384, Ed25519 or RSA',
  signature_impossible:
    'The server asks for signed requests, and this one cannot be signed; that requires TLS 1.3 and a key of P-256, P-384, Ed25519 or RSA',
  body_too_long_to_sign:
    'The body of a signed request is a stream of more than 1 048 576 octets; give its Content-Digest, or the body as a string or Buffer',
  wrong_origin: 'The request is for another origin, to which no token may be sent; use a client of that origin',
  not_begun: 'The connection closed repeatedly before the server processed the request; try again later',
  connection_lost: 'The connection broke during the request, which the server may have processed',
  answer_endless:
    'The response is not delimited, so a truncated one would look complete; the server must use Content-Length or chunks',
  timed_out: 'The request timed out; check whether the server is reachable and responds',
  closed: 'The client is closed',
} as const

export type Problem = keyof typeof problems

/**
 * The error that a client rejects with. The message names the address, what was found and what to do, where known.
 * It contains no token and no key.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: Problem
  /** The `reason` of a server's error response, else its `error`. */
  readonly reason: string | undefined
  /** The `error_description` of that response (RFC 6749 §5.2), also in the message. */
  readonly description: string | undefined
  /** The status of that response. */
  readonly status: number | undefined
  /** Milliseconds after which the server allows a retry, from its Retry-After. */
  readonly retryAfter: number | undefined

  constructor(code: Problem, details: Details = {}) {
    const { cause, finding = describe(code, details), reason, description, status, retryAfter } = details
    super(finding, { cause })
    this.code = code
    this.reason = reason
    this.description = description
    this.status = status
    this.retryAfter = retryAfter
  }
}

interface Details {
  readonly cause?: unknown
  /** `HOST:PORT` of the server concerned. */
  readonly address?: string | undefined
  /** The message; replaces the general one. */
  readonly finding?: string | undefined
  readonly reason?: string | undefined
  readonly description?: string | undefined
  readonly status?: number | undefined
  readonly retryAfter?: number | undefined
}

function describe(code: Problem, { cause, address, reason }: Details): string {
  if (cause instanceof OutgoingError) return cause.message
  const details = [reason, cause instanceof Error ? cause.message || codeOf(cause) : undefined]
  const sentence = [problems[code], ...details.filter(detail => detail)].join(': ')
  return address === undefined ? sentence : `${address}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`
}

/** Explains why a TLS connection to `address` failed or ended, from the error of Node or undici. */
export function explainConnectProblem(error: unknown, address: string): ClientError {
  if (error instanceof ClientError) return error
  const cause = explainFailure(error, address)
  return new ClientError(connectProblems[cause.code] ?? 'cannot_connect', { cause })
}

const connectProblems: Readonly<Partial<Record<OutgoingProblem, Problem>>> = {
  untrusted: 'server_untrusted',
  outside_validity: 'server_untrusted',
  name_mismatch: 'server_name_mismatch',
  own_certificate_refused: 'certificate_refused',
  own_files_unusable: 'identity_unusable',
}

/** Returns whether a refusal is about the presenter's certificate, which is the same for the life of a connection. */
export function namesCertificate(reason: unknown): boolean {
  return typeof reason === 'string' && /^(no_certificate|certificate_[a-z_]+)$/.test(reason)
}

/** Returns whether a retry cannot succeed until someone changes something. */
export function isLasting({ code }: ClientError): boolean {
  return !['cannot_connect', 'token_unavailable', 'not_begun', 'connection_lost', 'timed_out'].includes(code)
}

/** Returns the `code` of an error; empty when it has none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
