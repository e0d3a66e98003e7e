// What can go wrong for a client, in words that say what to do. Refusals of a resource are answers, not errors.

/** Every problem that a client reports, with the sentence that tells what to do next. The list is closed. */
export const problems = {
  cannot_connect: 'No TLS connection came about; check the address of the server, and whether it runs',
  server_untrusted: 'The certificate of the server comes from none of the authorities in ca; check both',
  server_name_mismatch: 'The certificate of the server is for another name; check the origin',
  certificate_refused: 'The server refused our client certificate in the handshake; get one that it accepts',
  identity_unusable: 'The certificate, private key or authorities of the client cannot be used',
  issuer_unusable: 'The metadata of the issuer cannot be used; check the issuer',
  token_refused: 'The issuer refused a token; see the reason',
  token_unavailable: 'The issuer gives no token at the moment; try again later',
  token_unusable: 'The issuer answered with something that is no token for us; check the issuer',
  token_bound_elsewhere:
    'The token names another connection or certificate than ours, and was not used; check the issuer',
  proof_impossible: 'No binding proof can be made; it takes TLS 1.3 and a key of P-256, P-384, Ed25519 or RSA',
  wrong_origin: 'The request is for another origin, where no token may go; use a client of that origin',
  not_begun: 'Connections ended again and again before the server began with the request; try again later',
  connection_lost: 'The connection broke while the request was under way, which the server may have executed',
  answer_endless:
    'The server does not say where its answer ends, so that half of it would look whole; it must use Content-Length or chunks',
  timed_out: 'Nothing came in time; check whether the server is there and answers',
  closed: 'The client was closed',
} as const

export type Problem = keyof typeof problems

/** What a client rejects with; `cause` is what it was caused by. Holds no token and no key. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: Problem
  /** The `reason` of a server's refusal, else its `error`. */
  readonly reason: string | undefined
  /** The status of that refusal. */
  readonly status: number | undefined
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined

  constructor(code: Problem, { cause, reason, status, retryAfter }: Details = {}) {
    const details = [reason, cause instanceof Error ? cause.message || codeOf(cause) : undefined]
    super([problems[code], ...details.filter(detail => detail)].join(': '), { cause })
    this.code = code
    this.reason = reason
    this.status = status
    this.retryAfter = retryAfter
  }
}

interface Details {
  readonly cause?: unknown
  readonly reason?: string | undefined
  readonly status?: number | undefined
  readonly retryAfter?: number | undefined
}

/** What prevented a TLS connection, by the error of Node or undici. */
export function readConnectProblem(cause: unknown): ClientError {
  if (cause instanceof ClientError) return cause
  const code = codeOf(cause)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return new ClientError('server_name_mismatch', { cause })
  if (isCertificateAlert(code)) return new ClientError('certificate_refused', { cause })
  if (/^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_|PATH_LENGTH|HOSTNAME_)/.test(code))
    return new ClientError('server_untrusted', { cause })
  return new ClientError('cannot_connect', { cause })
}

/** Whether waiting does not help: somebody has to change something first. */
export function isLasting({ code }: ClientError): boolean {
  return !['cannot_connect', 'token_unavailable', 'not_begun', 'connection_lost', 'timed_out'].includes(code)
}

/** The alerts of RFC 8446 §6.2 that are about a certificate, as OpenSSL names them. */
export function isCertificateAlert(code: string): boolean {
  return /^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)
}

/** The `code` of an error; empty when it has none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
