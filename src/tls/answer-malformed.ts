// The answer to octets that Node's parser rejects, for a listener whose app gives none.
import type { Socket } from 'node:net'

/**
 * Answers octets that are not a request, and closes the connection. Node's own answer is lost: it destroys the TLS connection before
 * the answer is sent.
 */
export function answerMalformed({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable || socket.bytesRead === 0) return void socket.destroy()
  const status = malformedStatuses[code ?? ''] ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy())
}

/** By the code of Node's error. */
const malformedStatuses: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}
