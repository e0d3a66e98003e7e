// Refuses octets that Node's parser rejects. There is no request, so the refusal is written to the socket.
import { maxHeaderSize } from 'node:http'
import type { Socket } from 'node:net'
import type { DetailOf } from '../core/details.ts'
import { malformed, type OAuthError } from '../core/errors.ts'
import { octetKinds, recognizeOctets } from '../tls/first-octets.ts'
import { buildBody } from '../verify/refusal.ts'

/** Node's error for octets that are not a request: its code, the parser's message, and the last octets received. */
export interface ClientError {
  readonly code?: string | undefined
  readonly reason?: string | undefined
  readonly rawPacket?: unknown
}

/**
 * Refuses octets that are not a request, then closes the connection. Sends nothing if the peer is gone, was refused
 * already, has unread responses, or has sent nothing yet, like a browser that connects in advance.
 */
export function refuseBytes(socket: Socket, error: ClientError, onRefusal: (refusal: OAuthError) => void): void {
  const { code } = error
  if (code === 'ECONNRESET' || code === 'HPE_PAUSED' || !socket.writable || socket.bytesRead === 0)
    return void socket.destroy()
  const [status, phrase, refusal] = describeClientError(error)
  onRefusal(refusal)
  const body = JSON.stringify(buildBody(refusal))
  const fields = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close']
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${fields.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function describeClientError({ code, reason, rawPacket }: ClientError): [number, string, OAuthError] {
  const [status, phrase] = statusLines[code ?? ''] ?? [400, 'Bad Request']
  const arrived = Buffer.isBuffer(rawPacket) ? recognizeOctets(rawPacket) : 'unknown'
  const isForeign = code === 'HPE_INVALID_METHOD' && arrived !== 'http' && arrived !== 'unknown'
  const known: readonly [MalformedDetail, string?] = isForeign
    ? ['not_http', octetKinds[arrived]]
    : (parserErrors[code ?? ''] ?? ['not_http', octetKinds[arrived]])
  const [detail, found = reason] = known
  const limit = detail === 'head_too_large' ? maxHeaderSize : undefined
  return [status, phrase, malformed(detail, { code, found, limit })]
}

/** Node's error codes with an HTTP status of their own. */
const statusLines: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
}

type MalformedDetail = DetailOf<'malformed_request'>

/** Codes of Node's parser, with what was found if the parser's message does not say it. */
const parserErrors: Readonly<Record<string, readonly [MalformedDetail, string?]>> = {
  HPE_HEADER_OVERFLOW: ['head_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timed_out'],
  HPE_INVALID_METHOD: ['method_malformed'],
  HPE_INVALID_URL: ['target_malformed', 'an octet or a form that no request target has'],
  HPE_INVALID_VERSION: ['version_unsupported'],
  HPE_INVALID_CONSTANT: ['version_unsupported'],
  HPE_INVALID_HEADER_TOKEN: ['header_malformed'],
  HPE_UNEXPECTED_SPACE: ['header_malformed'],
  HPE_CR_EXPECTED: ['line_end'],
  HPE_LF_EXPECTED: ['line_end'],
  HPE_STRICT: ['line_end'],
  HPE_UNEXPECTED_CONTENT_LENGTH: ['body_framing'],
  HPE_INVALID_CONTENT_LENGTH: ['body_framing'],
  HPE_INVALID_TRANSFER_ENCODING: ['body_framing'],
  HPE_INVALID_CHUNK_SIZE: ['chunk_malformed'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['chunk_malformed'],
  HPE_INVALID_EOF_STATE: ['request_incomplete'],
  HPE_CLOSED_CONNECTION: ['after_close'],
}
