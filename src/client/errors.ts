// What can go wrong for a client, in words that say what to do. Refusals of a resource are answers, not errors.
import { explainFailure, OutgoingError, type OutgoingProblem } from '../outgoing/failure.ts'

/** Every problem that a client reports, with the sentence that tells what to do next. The list is closed. */
export const problems = {
  cannot_connect: 'No TLS connection came about; check the address of the server, and whether it runs',
  server_untrusted: 'The certificate of the server is expired, or from none of the authorities in ca; check both',
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

/**
 * What a client rejects with; `cause` is what it was caused by. The message names the address, what was found there and what
 * to do, where that is known. Holds no token and no key.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: Problem
  /** The `reason` of a server's refusal, else its `error`. */
  readonly reason: string | undefined
  /** The status of that refusal. */
  readonly status: number | undefined
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined

  constructor(code: Problem, details: Details = {}) {
    const { cause, finding = describe(code, details), reason, status, retryAfter } = details
    super(finding, { cause })
    this.code = code
    this.reason = reason
    this.status = status
    this.retryAfter = retryAfter
  }
}

interface Details {
  readonly cause?: unknown
  /** `HOST:PORT` of the server that the problem is with. */
  readonly address?: string | undefined
  /** The message, in the place of the general one. */
  readonly finding?: string | undefined
  readonly reason?: string | undefined
  readonly status?: number | undefined
  readonly retryAfter?: number | undefined
}

function describe(code: Problem, { cause, address, reason }: Details): string {
  if (cause instanceof OutgoingError) return cause.message
  const details = [reason, cause instanceof Error ? cause.message || codeOf(cause) : undefined]
  const sentence = [problems[code], ...details.filter(detail => detail)].join(': ')
  return address === undefined ? sentence : `${address}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`
}

/** What prevented or ended a TLS connection to `address`, by the error of Node or undici. */
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

/** Whether the reason of a refusal is about the certificate of the presenter, which a connection keeps for its life. */
export function namesCertificate(reason: unknown): boolean {
  return typeof reason === 'string' && /^(no_certificate|certificate_[a-z_]+)$/.test(reason)
}

/** Whether waiting does not help: somebody has to change something first. */
export function isLasting({ code }: ClientError): boolean {
  return !['cannot_connect', 'token_unavailable', 'not_begun', 'connection_lost', 'timed_out'].includes(code)
}

/** The `code` of an error; empty when it has none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
