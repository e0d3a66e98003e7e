// An upstream with configurable faults, over real TLS: its own token endpoint, which binds tokens to their connection, and
// one function that answers everything else.
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type SecureServerOptions,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { readChannelBindings } from '../../../src/core/channel-binding.ts'
import { confirm, type TokenBinding } from '../../../src/core/confirmation.ts'
import { readCertificate } from '../../../src/core/presenter.ts'
import { type DemoPki, makeDemoPki } from '../../../src/pki/demo.ts'

/** A received request. */
export interface Seen {
  readonly method: string
  readonly path: string
  /** The number of its TLS connection, from 1. */
  readonly connection: number
  readonly token: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  body: string
  /** Ends its connection without a response. */
  cut(): void
}

export type Serve = (request: Http2ServerRequest, response: Http2ServerResponse, seen: Seen) => void

/** The response of the token endpoint: a status and a body, with defaults for what is omitted. */
export type Issue = (form: URLSearchParams, count: number) => TokenReply
export interface TokenReply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly binding?: TokenBinding
  readonly lifetime?: number
  readonly body?: Record<string, unknown>
  /** Merged over the right `cnf`. */
  readonly cnf?: Record<string, unknown>
  /** The response waits for this. */
  readonly when?: Promise<void>
  /** No response: the connection ends. */
  readonly hangUp?: boolean
}

export interface FakeUpstream {
  /** Origin and identity: the options of a client of this upstream. */
  readonly target: Pick<FakeUpstream, 'origin' | 'identity'>
  readonly origin: string
  readonly port: number
  readonly pki: DemoPki
  /** alice. */
  readonly identity: { readonly certificate: string; readonly key: string; readonly ca: string }
  /** Requests other than those for metadata and tokens. */
  readonly seen: Seen[]
  /** Numbers of handshakes and of token requests. */
  readonly handshakes: number
  readonly tokenRequests: number
  readonly server: Http2SecureServer
  serve: Serve
  issue: Issue
  /** Members of the metadata that override the right ones. */
  metadata: Record<string, unknown>
  close(): Promise<void>
}

export interface FakeOptions extends SecureServerOptions {
  readonly http2?: boolean
  readonly pki?: DemoPki
  /** The upstream's time, in seconds since 1970. */
  readonly clock?: () => number
}

type Test = { teardown(end: () => unknown): void }

export const json = (
  response: Http2ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

export async function startFakeUpstream(t: Test, serve: Serve, options: FakeOptions = {}): Promise<FakeUpstream> {
  const { http2 = false, pki = makeDemoPki(), clock = () => Math.floor(Date.now() / 1000), ...tls } = options
  const sockets = new Map<number, TLSSocket>()
  let handshakes = 0
  let tokenRequests = 0
  const server = createSecureServer({
    cert: pki.server.certificate,
    key: pki.server.key,
    ca: pki.ca.certificate,
    requestCert: true,
    rejectUnauthorized: false,
    allowHTTP1: true,
    ALPNCallback: ({ protocols }) =>
      protocols.find(protocol => protocol === 'http/1.1' || (http2 && protocol === 'h2')),
    ...tls,
  })
  server.prependListener('secureConnection', socket => {
    handshakes += 1
    Object.defineProperty(socket, 'number', { value: handshakes })
    sockets.set(handshakes, socket)
    socket.on('error', () => {})
    const number = handshakes
    socket.on('close', () => sockets.delete(number))
  })
  server.on('sessionError', () => {})
  server.on('request', async (request, response) => {
    request.on('error', () => {})
    response.on('error', () => {})
    const connection = (request.socket as unknown as { number: number }).number
    const cut = () => void sockets.get(connection)?.destroy()
    const path = request.url.split('?')[0] as string
    if (path === '/.well-known/oauth-authorization-server') {
      const { origin } = upstream
      return json(response, 200, { issuer: origin, token_endpoint: `${origin}/oauth/token`, ...upstream.metadata })
    }
    if (path === '/oauth/token') {
      const text = await read(request)
      tokenRequests += 1
      const reply = upstream.issue(new URLSearchParams(text), tokenRequests)
      if (reply.hangUp === true) return cut()
      await reply.when
      return json(response, reply.status ?? 200, buildToken(request.socket as TLSSocket, reply), {
        date: new Date(clock() * 1000).toUTCString(),
        ...reply.headers,
      })
    }
    const seen: Seen = {
      method: request.method,
      path: request.url,
      connection,
      token: /^Bearer (.*)$/.exec(String(request.headers.authorization ?? ''))?.[1],
      headers: request.headers,
      body: '',
      cut,
    }
    upstream.seen.push(seen)
    upstream.serve(request, response, seen)
  })

  function buildToken(
    socket: TLSSocket,
    { binding = 'connection', lifetime = 300, body, cnf, status = 200 }: TokenReply,
  ) {
    if (status !== 200) return body ?? { error: 'invalid_request' }
    const certificate = readCertificate(
      socket.getPeerX509Certificate() as NonNullable<ReturnType<TLSSocket['getPeerX509Certificate']>>,
    )
    const claims = {
      iat: clock(),
      exp: clock() + lifetime,
      jti: `token ${tokenRequests}`,
      cnf: cnf ?? confirm({ certificate, bindings: readChannelBindings(socket) }, binding),
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const access_token = `${part({ typ: 'at+jwt', alg: 'ES256' })}.${part(claims)}.c2lnbmF0dXJl`
    return {
      access_token,
      token_type: 'Bearer',
      expires_in: lifetime,
      token_binding: binding,
      scope: 'notes:read',
      ...body,
    }
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const target = {
    origin: `https://localhost:${port}`,
    identity: { certificate: pki.alice.certificate, key: pki.alice.key, ca: pki.ca.certificate },
  }
  const upstream: FakeUpstream = {
    ...target,
    target,
    port,
    pki,
    seen: [],
    get handshakes() {
      return handshakes
    },
    get tokenRequests() {
      return tokenRequests
    },
    server,
    serve,
    issue: () => ({}),
    metadata: {},
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets.values()) socket.destroy()
      }),
  }
  t.teardown(() => upstream.close())
  return upstream
}

/** Reads a body to its end. */
export async function read(request: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}
