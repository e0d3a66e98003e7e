// A server with a gateway, and upstreams whose answers a test decides.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createPlain, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { GatewayHost } from '../../../src/gateway/gateway.ts'
import { startTestServer, type TestServer, type TestServerOptions } from '../../../src/testing/server.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  /** Names in lower case. */
  readonly headers: IncomingMessage['headers']
  readonly names: readonly string[]
  readonly body: string
}

export interface TestUpstream {
  readonly address: string
  readonly server: Server
  readonly seen: readonly Seen[]
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const echo: Handler = (_request, response) => void response.end('ok')

/** Starts an HTTP/1.1 upstream that records what it receives. */
export async function startUpstream(t: Test, handler: Handler = echo): Promise<TestUpstream> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '', headers, rawHeaders } = request
    const names = rawHeaders.filter((_name, index) => index % 2 === 0)
    if (handler !== echo) {
      seen.push({ method, url, headers, names, body: '' })
      return handler(request, response)
    }
    let body = ''
    request.setEncoding('latin1').on('data', chunk => (body += chunk))
    request.on('end', () => {
      seen.push({ method, url, headers, names, body })
      handler(request, response)
    })
  })
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, seen }
}

export interface RawUpstream {
  readonly address: string
  /** The octets of each connection so far. */
  readonly received: string[]
  readonly sockets: ReadonlySet<Socket>
}

/** Starts an upstream that answers octets with octets. */
export async function startRawUpstream(
  t: Test,
  answer: (socket: Socket, received: string) => void,
): Promise<RawUpstream> {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createPlain(socket => {
    const index = received.push('') - 1
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    socket.on('data', chunk => {
      received[index] += chunk.toString('latin1')
      answer(socket, received[index] as string)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, sockets }
}

/** What a gateway needs of its app, with a check of its own. An error fails the test. */
export function hostWith(t: Test, check: GatewayHost['check']): GatewayHost {
  return {
    check,
    signer: { issuer: 'https://issuer.example', sign: () => 'signed', now: () => 0 },
    refusal: { onRefusal: () => {} },
    onTunnelEnd: () => {},
    onError: error => t.fail(error.message),
  }
}

export interface GatewayServer extends TestServer {
  /** Replaces the file of the routes; SIGHUP is up to the test. */
  readonly routesFile: string
}

/** Starts a server with these routes. */
export async function startGateway(
  t: Test,
  routes: readonly object[],
  options: TestServerOptions = {},
): Promise<GatewayServer> {
  const routesFile = join(t.testdir(), 'routes.json')
  writeFileSync(routesFile, JSON.stringify(routes))
  const server = await startTestServer({ ...options, env: { ...options.env, TLSBOUND_GATEWAY_FILE: routesFile } })
  t.teardown(() => server.close())
  return Object.assign(server, { routesFile })
}
