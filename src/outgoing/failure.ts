// Errors of outgoing connections and requests: one class with a closed list of codes. Each message names the address,
// what was found, and what to do. Text from the peer is bounded and escaped.
import { isIP } from 'node:net'
import { escapeForDisplay } from '../core/escape-for-display.ts'

/** Every code of an OutgoingError and what it means. The list is closed. */
export const outgoingProblems = {
  host_unknown: 'the name of the host has no address',
  address_internal: 'the address is internal, which is not allowed here',
  refused: 'nothing accepts connections at the address',
  unreachable: 'no route leads to the address, or a firewall rejects it',
  timed_out: 'a deadline passed: connecting, handshake, response head, or complete response',
  closed: 'the server closed the connection too early',
  not_tls: 'the server does not speak TLS',
  version: 'the server accepts none of the offered TLS versions',
  handshake_failed: 'the TLS handshake failed for another reason',
  own_files_unusable: 'the certificate, private key or authorities of the client are invalid',
  own_certificate_refused: 'the server rejected the client certificate',
  untrusted: 'the server certificate is not issued by a configured authority',
  outside_validity: 'a certificate in the chain of the server is expired or not valid yet',
  name_mismatch: 'the server certificate is for other names',
  not_http: 'the response is not valid HTTP',
  redirect: 'the response is a redirect, and redirects are not followed',
  status: 'the response has an unexpected status',
  encoded: 'the response is compressed, which was not requested',
  too_large: 'the response is larger than allowed',
  not_json: 'the response is not JSON in UTF-8',
  unexpected_content: 'the response is JSON, but not of the expected form',
  cancelled: 'the caller cancelled it',
} as const

export type OutgoingProblem = keyof typeof outgoingProblems

/** The error that an outgoing connection or request rejects with. It contains no token and no key. */
export class OutgoingError extends Error {
  override readonly name = 'OutgoingError'
  readonly code: OutgoingProblem
  /** `HOST:PORT`, or the URL of a document. */
  readonly address: string
  /** What was found and what to do, without the address. */
  readonly finding: string
  /** The unexpected status of a response. */
  readonly status: number | undefined

  constructor(
    code: OutgoingProblem,
    address: string,
    finding: string,
    { cause, status }: { cause?: unknown; status?: number } = {},
  ) {
    super(`${address}: ${finding}`, { cause })
    this.code = code
    this.address = address
    this.finding = finding
    this.status = status
  }
}

/** Returns `HOST:PORT`, with an IPv6 address in brackets. */
export function addressOf(host: string, port: number | string): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/** Formats milliseconds for people: `5 s`, `250 ms`. */
export function describeDuration(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000} s` : `${milliseconds} ms`
}

/** Escapes text of a peer for a message: one line of at most `longest` characters. */
export function quote(text: string, longest = 200): string {
  const line = escapeForDisplay(text.replaceAll('\n', ', '))
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

/** Explains an error of Node's sockets, resolver, TLS or HTTP. Returns an OutgoingError unchanged. */
export function explainFailure(error: unknown, address: string): OutgoingError {
  if (error instanceof OutgoingError) return error
  const [problem, finding] = explain(error as Cause)
  return new OutgoingError(problem, address, finding, { cause: error })
}

type Explanation = readonly [problem: OutgoingProblem, finding: string]

interface Cause extends NodeJS.ErrnoException {
  /** The reason of OpenSSL. */
  readonly reason?: unknown
  /** The name that was resolved. */
  readonly hostname?: unknown
}

function explain({ code = '', reason, hostname, message }: Cause): Explanation {
  const known = errors[code]
  if (known !== undefined) return [known[0], known[1].replace(';', ` (${code});`)]
  if (hostname !== undefined)
    return ['host_unknown', `the name ${hostname} has no address (${code}); check its spelling and the DNS`]
  if (code.startsWith('HPE_'))
    return ['not_http', `the response is not valid HTTP/1.1 (${code}); check that the port is one of an HTTPS server`]
  const words = typeof reason === 'string' ? quote(reason) : code
  if (isCertificateAlert(code))
    return ['own_certificate_refused', `the server rejected the client certificate (${words}); use one that it accepts`]
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST)$/.test(code))
    return ['not_tls', `the response is not TLS (${words}) but plain HTTP or another protocol; check scheme and port`]
  if (/^ERR_SSL_(.*PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE)$/.test(code))
    return ['version', `the server accepts none of the offered TLS versions (${words}); enable TLS 1.3 on both sides`]
  if (code.startsWith('ERR_SSL_'))
    return ['handshake_failed', `TLS failed (${words}); check versions, ciphers and key types of both sides`]
  return ['closed', `the connection failed (${code === '' ? quote(message) : code}); try again, and check the server`]
}

/** The alerts of RFC 8446 §6.2 about a certificate, by their OpenSSL names. */
export function isCertificateAlert(code: string): boolean {
  return /^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)
}

const noRoute: Explanation = ['unreachable', 'no route leads to this address; check network and firewall']
const forbidden: Explanation = ['unreachable', 'this machine does not allow the connection; check its firewall']
const silent: Explanation = ['timed_out', 'nothing came in time; check network, firewall and server']
const hungUp: Explanation = ['closed', 'the server closed the connection before it was done; check that it is healthy']

/** Findings by the codes of the operating system and of undici. */
const errors: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: ['refused', 'nothing accepts connections there; check the port, and whether the server runs'],
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  EADDRNOTAVAIL: noRoute,
  EACCES: forbidden,
  EPERM: forbidden,
  ETIMEDOUT: silent,
  UND_ERR_HEADERS_TIMEOUT: silent,
  UND_ERR_BODY_TIMEOUT: silent,
  ECONNRESET: hungUp,
  ECONNABORTED: hungUp,
  EPIPE: hungUp,
  UND_ERR_SOCKET: hungUp,
  ABORT_ERR: ['cancelled', 'the request was cancelled; send it again'],
}
