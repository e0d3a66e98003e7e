// A sidecar in this process between a program (a plain node:http client or raw bytes) and an upstream with configurable
// responses over real mutual TLS. The token logic is the client's: here there is only an undici Pool.
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  type Agent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { type Sidecar, type SidecarOptions, startSidecar } from '../../../src/sidecar/sidecar.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

export interface TestUpstream {
  readonly origin: string
  readonly client: SidecarOptions['client']
  /** `request` when one arrives, `gone` when its program disconnects before the response. */
  readonly events: EventEmitter
  /** The requests so far, as `METHOD path`. */
  readonly seen: readonly string[]
}

const pki = makeDemoPki()

/** Starts an upstream on a free port, with a client of alice for it; both end with the test. */
export async function startUpstream(t: Test, handler: Handler): Promise<TestUpstream> {
  const events = new EventEmitter()
  const seen: string[] = []
  const { key, certificate: cert } = pki.server
  const server = createServer({ key, cert, ca: pki.ca.certificate, requestCert: true }, (request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.once('close', () => response.writableFinished || events.emit('gone'))
    handler(request, response)
    events.emit('request', request)
  })
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const { alice, ca } = pki
  const dispatcher = new Pool(origin, {
    connections: 4,
    connect: { ca: ca.certificate, cert: alice.certificate, key: alice.key, maxCachedSessions: 0 },
  })
  t.teardown(async () => {
    await dispatcher.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { origin, events, seen, client: { dispatcher, state: () => ({ origin }), close: () => dispatcher.close() } }
}

/** Starts a sidecar before an upstream, on a unix socket by default; it ends with the test. */
export async function startTestSidecar(
  t: Test,
  { client }: Pick<TestUpstream, 'client'>,
  options: Partial<SidecarOptions> = {},
): Promise<Sidecar> {
  const sidecar = await startSidecar({ client, listen: { path: join(makeFolder(t), 's.sock') }, ...options })
  t.teardown(() => sidecar.close(0))
  return sidecar
}

/** Creates a folder with a path short enough for sockets; it is removed with the test. */
export function makeFolder(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer | Readable
  /** An agent that keeps connections; without it each request has its own. */
  readonly agent?: Agent
}

export interface Told {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON, or undefined. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  readonly body: any
}

/** Sends a request; resolves with the head of the response, whose body the caller reads. Rejects if it is cut before. */
export function open(address: string, path: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { method = 'GET', headers, body, agent = false } = asked
  return new Promise((resolve, reject) => {
    const isWhole = typeof body === 'string' || Buffer.isBuffer(body)
    const length = isWhole &&
      headers?.['transfer-encoding'] === undefined && { 'content-length': Buffer.byteLength(body) }
    const all = { host: hostOf(address), ...length, ...headers }
    const request = httpRequest({ ...whereOf(address), path, method, headers: all, agent }, resolve)
    request.on('error', reject)
    if (isWhole || body === undefined) request.end(body)
    else body.pipe(request)
  })
}

/** Sends a request and reads the whole response. Rejects if it is cut. */
export async function ask(address: string, path: string, asked?: Asked): Promise<Told> {
  const answer = await open(address, path, asked)
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  return { status: answer.statusCode as number, headers: answer.headers, text, body: parse(text) }
}

/** Opens a connection to the sidecar, for bytes that HTTP libraries refuse to send. */
export async function connectTo(t: Test, address: string): Promise<Socket> {
  const { socketPath, host, port } = whereOf(address)
  const socket = socketPath === undefined ? connect(port as number, host) : connect(socketPath)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

function whereOf(address: string): { socketPath?: string; host?: string; port?: number } {
  if (address.startsWith('unix:')) return { socketPath: address.slice(5) }
  const { hostname, port } = new URL(address)
  return { host: hostname, port: Number(port) }
}

function hostOf(address: string): string {
  return address.startsWith('unix:') ? 'notes' : new URL(address).host
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
