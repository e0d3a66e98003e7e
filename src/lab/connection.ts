// One TLS connection of the lab over HTTP/1.1 or HTTP/2, with full control over the octets: it never reconnects, stores
// no tokens and repeats no request.
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isTooDeep } from '../core/json-depth.ts'
import { type ConnectTlsOptions, connectTls } from '../outgoing/connect.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; undefined when it is not, or nested too deep. */
  // biome-ignore lint/suspicious/noExplicitAny: each caller expects another type
  readonly body: any
}

export interface Call {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string
  /** Sent as `Session-Binding-Proof`. */
  readonly proof?: string
}

export interface Connection {
  readonly socket: TLSSocket
  /** Rejects when the connection ends without an answer. */
  call(path: string, call?: Call): Promise<Answer>
  /** Returns whether another request can be sent: some servers close a connection after a refusal. */
  isOpen(): boolean
  close(): void
}

/** Milliseconds for a handshake and for a response in total. */
export const answerTimeout = 10_000

/** The maximum length of a response in octets. */
export const longestAnswer = 4_194_304

/** Converts a URL for TLS: an IP address has no brackets and is not a server name (RFC 6066 §3). */
export function endpointOf({ hostname, port }: URL): Pick<ConnectTlsOptions, 'host' | 'port' | 'servername'> {
  const host = hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(port || 443), ...(isIP(host) === 0 && { servername: host }) }
}

/** Opens a connection whose requests have the authority `HOST:PORT`. @throws OutgoingError (rejects). */
export async function openConnection(options: ConnectTlsOptions, authority?: string): Promise<Connection> {
  const deadlines = { connect: answerTimeout, handshake: answerTimeout }
  const socket = await connectTls({ ALPNProtocols: ['http/1.1'], deadlines, ...options })
  socket.setMaxListeners(0) // each of many parallel calls listens for the end of the connection
  const host = authority ?? `localhost:${socket.remotePort}`
  const { call, isOpen } = socket.alpnProtocol === 'h2' ? speakHttp2(socket, host) : speakHttp1(socket, host)
  return {
    socket,
    call: (path, options) => inTime(socket, () => call(path, options)),
    isOpen,
    close: () => socket.destroy(),
  }
}

/** Milliseconds after the end of a connection within which a received response is read. */
const readingTime = 1000

/** Rejects when the connection ends without a response, or has ended before; destroys it after a timeout. */
function inTime<T>(socket: TLSSocket, ask: () => Promise<T>): Promise<T> {
  // Neither HTTP module reports the end of a socket that ended before it was passed in.
  if (socket.destroyed) return Promise.reject(new Error('the connection has ended'))
  return new Promise((resolve, reject) => {
    const late = () => socket.destroy(new Error(`no complete response within ${answerTimeout / 1000} s`))
    const timer = setTimeout(late, answerTimeout)
    let reading: NodeJS.Timeout | undefined
    const onClose = () => {
      reading = setTimeout(() => reject(new Error('the connection ended without a response')), readingTime)
    }
    socket.once('close', onClose)
    ask()
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer)
        clearTimeout(reading)
        socket.off('close', onClose)
      })
  })
}

type Speech = Pick<Connection, 'call' | 'isOpen'>

function speakHttp1(socket: TLSSocket, host: string): Speech {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let used = false
  agent.createConnection = (_options, done) => {
    if (used) done?.(new Error('the connection has ended'), undefined as never)
    else done?.(null, socket)
    used = true
    return undefined as never // only the call of `done` counts
  }
  const call: Connection['call'] = (path, { method = 'GET', body, ...rest } = {}) =>
    new Promise((resolve, reject) => {
      const headers = { host, ...headersOf(rest, body) }
      const request = httpRequest({ agent, path, method, headers, setDefaultHeaders: false }, response =>
        readAnswer(response.statusCode as number, response.headers, response).then(resolve, reject),
      )
      request.on('error', reject).end(body)
    })
  return { call, isOpen: () => socket.writable && !socket.readableEnded }
}

function speakHttp2(socket: TLSSocket, host: string): Speech {
  const settings = { createConnection: () => socket, strictSingleValueFields: false } // thieves send headers twice
  let http2: ClientHttp2Session | undefined
  const call: Connection['call'] = (path, { method = 'GET', body, ...rest } = {}) =>
    new Promise((resolve, reject) => {
      // Not before the first call: until then the socket can carry any octets.
      http2 ??= connectHttp2(`https://${host}`, settings).on('error', () => {})
      const options = { endStream: body === undefined }
      const stream = http2.request({ ':path': path, ':method': method, ...headersOf(rest, body) }, options)
      const lost = () => reject(new Error('the stream ended without an answer'))
      // A response that arrives at once is read after its stream has closed.
      stream.on('close', lost).on('error', reject)
      stream.once('response', headers => {
        stream.off('close', lost)
        readAnswer(headers[':status'] as number, headers as IncomingHttpHeaders, stream).then(
          answer => (stream.rstCode ? lost() : resolve(answer)),
          reject,
        )
      })
      if (body !== undefined) stream.end(body)
    })
  return { call, isOpen: () => (http2 ? !http2.closed && !http2.destroyed : !socket.destroyed) }
}

/** Builds the headers of a call. */
export function headersOf(
  { headers, token, proof }: Call,
  body: string | undefined,
): Record<string, string | string[]> {
  return {
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(proof !== undefined && { 'session-binding-proof': proof }),
    ...headers,
  }
}

async function readAnswer(
  status: number,
  headers: IncomingHttpHeaders,
  stream: AsyncIterable<Buffer>,
): Promise<Answer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    length += chunk.length
    if (length > longestAnswer) throw new Error('the response is too long')
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  return { status, headers, text, body: parse(text) }
}

/** Parses JSON; undefined for invalid JSON, and for JSON that is nested too deep. */
export function parse(text: string): unknown {
  try {
    return isTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
