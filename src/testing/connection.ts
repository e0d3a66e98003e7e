// One TLS connection of a test's client, over HTTP/1.1 or HTTP/2. It never reconnects: a second connection is a second
// object, so that a test reads like the threat it is about.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { buildBindingProof, hashToken, type ProofClaims } from '../core/binding-proof.ts'
import { readKeyingMaterial } from '../core/channel-binding.ts'
import { readCertificate } from '../core/presenter.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; undefined when it is not. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
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

export interface TestConnection {
  readonly socket: TLSSocket
  call(path: string, call?: Call): Promise<Answer>
  get(path: string, token?: string, proof?: string): Promise<Answer>
  /** POST /oauth/token with these parameters and grant_type client_credentials. */
  requestToken(parameters?: Readonly<Record<string, string>>): Promise<Answer>
  /** The access token of such a request. Rejects when none was issued. */
  token(parameters?: Readonly<Record<string, string>>): Promise<string>
  /** A binding proof for a token on this connection, with the certificate's key; `claims` go before the right ones. */
  prove(token: string, claims?: Partial<ProofClaims>): string
  close(): void
}

/** Opens a connection. `clientId` is what token requests name unless told otherwise; `now` in seconds since 1970. */
export async function openConnection(
  options: ConnectionOptions,
  clientId: string,
  now: () => number = () => Math.floor(Date.now() / 1000),
): Promise<TestConnection> {
  const socket = connectTls({ ALPNProtocols: ['http/1.1'], ...options })
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  socket.on('error', () => {}) // whoever waits for an answer is told
  const call = socket.alpnProtocol === 'h2' ? callHttp2(socket) : callHttp1(socket)

  const requestToken = (parameters: Readonly<Record<string, string>> = {}) => {
    const form = { grant_type: 'client_credentials', client_id: clientId, ...parameters }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return call('/oauth/token', { method: 'POST', headers, body: new URLSearchParams(form).toString() })
  }
  return {
    socket,
    call,
    requestToken,
    get: (path, token, proof) =>
      call(path, { ...(token !== undefined && { token }), ...(proof !== undefined && { proof }) }),
    token: async parameters => {
      const { body, text } = await requestToken(parameters)
      if (typeof body?.access_token !== 'string') throw new Error(`no token was issued: ${text}`)
      return body.access_token
    },
    prove(token, claims) {
      const { cert, key } = options as { cert: string; key: string }
      const { thumbprint } = readCertificate(new X509Certificate(cert))
      const right = { ath: hashToken(token), ekm: readKeyingMaterial(socket) ?? 'none', iat: now() }
      return buildBindingProof({ ...right, ...claims }, createPrivateKey(key), thumbprint)
    },
    close: () => socket.destroy(),
  }
}

function callHttp1(socket: TLSSocket): TestConnection['call'] {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let used = false
  agent.createConnection = (_options, done) => {
    if (used) done?.(new Error('the connection has ended'), undefined as never)
    else done?.(null, socket)
    used = true
    return undefined as never // what is handed to `done` counts
  }
  return (path, { method = 'GET', body, ...rest } = {}) =>
    new Promise((resolve, reject) => {
      const headers = { host: `localhost:${socket.remotePort}`, ...headersOf(rest, body) }
      const request = httpRequest({ agent, path, method, headers, setDefaultHeaders: false }, async response => {
        const text = await readText(response)
        resolve({ status: response.statusCode as number, headers: response.headers, text, body: parse(text) })
      })
      request.on('error', reject).end(body)
    })
}

function callHttp2(socket: TLSSocket): TestConnection['call'] {
  const origin = `https://localhost:${socket.remotePort}`
  const http2: ClientHttp2Session = connectHttp2(origin, { createConnection: () => socket })
  http2.on('error', () => {})
  return (path, { method = 'GET', body, ...rest } = {}) =>
    new Promise((resolve, reject) => {
      const options = { endStream: body === undefined }
      const stream = http2.request({ ':path': path, ':method': method, ...headersOf(rest, body) }, options)
      stream.on('error', reject).on('response', async headers => {
        const text = await readText(stream)
        resolve({
          status: headers[':status'] as number,
          headers: headers as IncomingHttpHeaders,
          text,
          body: parse(text),
        })
      })
      if (body !== undefined) stream.end(body)
    })
}

function headersOf({ headers, token, proof }: Call, body: string | undefined): Record<string, string | string[]> {
  return {
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(proof !== undefined && { 'session-binding-proof': proof }),
    ...headers,
  }
}

async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
