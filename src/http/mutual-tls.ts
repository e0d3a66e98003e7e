// The listener: a server for HTTP/2 and HTTP/1.1 on one port that ends mutual TLS and remembers each connection.
// Given to Fastify as its serverFactory, so that every address it listens on gets the same treatment.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  type Connection,
  connectionOf,
  endConnection,
  keepConnection,
  rememberConnection,
  type TrustInForce,
} from './connection.ts'
import { type Counts, createCounts } from './counts.ts'
import { endSlowPeers } from './slow-peers.ts'
import { buildTlsOptions, type MinimumVersion, readRevocationLists, type TlsMaterial } from './tls.ts'
import { type CertificateProblem, readTrust } from './trust.ts'

export interface MutualTlsOptions extends TlsMaterial {
  /** Default TLSv1.3. */
  readonly minVersion?: MinimumVersion
  /** Offer h2 beside http/1.1. Default true. */
  readonly http2?: boolean
  /** Drop a connection without an acceptable certificate after its handshake instead of answering in words. */
  readonly dropUnacceptable?: boolean
  /** Seconds after which a connection ends with its next answer. Default 3600. */
  readonly maximumAge?: number
  /** Whether a certificate is registered itself (RFC 8705 §2.2), by its `x5t#S256`. Default: none is. */
  readonly isPinned?: (thumbprint: string) => boolean
  /** Seconds. Default: those of docs/limits.md; tests shorten them. */
  readonly timeouts?: Partial<typeof defaultTimeouts>
  /** Called for each connection that is dropped. */
  readonly onDrop?: (socket: TLSSocket, problem: CertificateProblem) => void
}

/** A `serverFactory` for Fastify. `reload` changes certificate, key, authorities and lists of all servers it made. */
export interface MutualTls {
  // Typed as Fastify types its HTTP/1.1 server: the two protocols look the same from a handler.
  (handler: Handler): Server
  /** @throws Error when the new material is not usable; everything then stays as it was. */
  reload(material: TlsMaterial): void
  /** `listener` is called after each reload that changed who is trusted. */
  onReload(listener: () => void): void
  /** All connections whose handshake has ended and that are open. */
  readonly connections: ReadonlySet<Connection>
  /** What has happened on them so far. */
  readonly counts: Readonly<Counts>
  /** The certificates and lists that are in use now. */
  material(): Omit<TlsMaterial, 'key'>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** How many requests may be under way on one connection over HTTP/2. */
const maxConcurrentStreams = 128

/** Seconds. A peer that stays below these holds a socket, and nothing else. */
const defaultTimeouts = { handshake: 10, headers: 10, request: 30, idle: 60 }

/** Builds the listener. @throws Error when the material is not usable. */
export function mutualTls(options: MutualTlsOptions): MutualTls {
  const { minVersion = 'TLSv1.3', maximumAge = 3600 } = options
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const load = (material: TlsMaterial) => readTrust(material.ca, readRevocationLists(material))
  const { isPinned = () => false } = options
  const trusted: TrustInForce = { trust: load(options), isPinned }
  let tlsOptions = buildTlsOptions(options, minVersion)
  let current: TlsMaterial = options
  const servers = new Set<Http2SecureServer>()
  const connections = new Set<Connection>()
  const counts = createCounts()
  const listeners: (() => void)[] = []

  const factory = (handler: Handler): Server => {
    const server = createSecureServer({
      ...tlsOptions,
      allowHTTP1: true,
      // Node puts its own list, h2 first, in the place of ALPNProtocols; only the callback is asked before.
      ...(options.http2 === false && {
        ALPNCallback: ({ protocols }: { protocols: string[] }) => protocols.find(name => name === 'http/1.1'),
      }),
      headersTimeout: timeouts.headers * 1000,
      requestTimeout: timeouts.request * 1000,
      keepAliveTimeout: timeouts.idle * 1000,
      connectionsCheckingInterval: 2000,
      settings: { maxConcurrentStreams }, // RFC 9113 §6.5.2; without, as many as there is memory for
      requireHostHeader: false, // its absence is refused in server.ts, with a reason and an event
    } as Parameters<typeof createSecureServer>[0])
    // A deadline for the whole handshake: Node's own starts again with every octet.
    const handshakes = new Map<string, NodeJS.Timeout>()
    server.on('connection', socket => {
      const peer = peerOf(socket)
      const deadline = setTimeout(() => socket.destroy(), timeouts.handshake * 1000)
      handshakes.set(peer, deadline)
      socket.once('close', () => {
        clearTimeout(deadline)
        if (handshakes.get(peer) === deadline) handshakes.delete(peer)
      })
    })
    server.on('tlsClientError', () => void counts.failedHandshakes++)
    // Before HTTP's own listener, so that a request in the client's last flight finds its connection known.
    server.prependListener('secureConnection', socket => {
      clearTimeout(handshakes.get(peerOf(socket)))
      const connection = rememberConnection(socket, trusted, counts)
      connections.add(connection)
      socket.once('close', () => connections.delete(connection))
      const { problem } = connection
      // OpenSSL is told not to renegotiate; should it do so all the same, what we remember would be wrong.
      socket.on('secure', () => socket.destroy())
      if (options.dropUnacceptable === true && problem !== undefined) {
        options.onDrop?.(socket, problem)
        socket.destroy()
      }
    })
    endSlowPeers(server, timeouts)
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse) => {
      const connection = connectionOf(request.socket)
      if (connection !== undefined) {
        keepConnection(request, connection)
        if (performance.now() - connection.openedAt > maximumAge * 1000) endConnection(request, response)
      }
      handler(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    }
    server.on('request', serve)
    server.on('checkExpectation', serve) // refused in server.ts; without a listener Node answers by itself
    servers.add(server)
    server.on('close', () => servers.delete(server))
    return server as unknown as Server
  }

  const reload = (material: TlsMaterial): void => {
    const isSame = material.ca === current.ca && material.crl === current.crl
    const trust = isSame ? trusted.trust : load(material) // who is still trusted need not be judged anew
    const next = buildTlsOptions(material, minVersion)
    for (const server of servers) server.setSecureContext(next)
    tlsOptions = next
    current = material
    trusted.trust = trust
    if (!isSame) for (const listener of listeners) listener()
  }
  return Object.assign(factory, {
    reload,
    connections,
    counts,
    material: () => current,
    onReload: (listener: () => void) => void listeners.push(listener),
  })
}

/** The two ends of a TCP connection. Node tells no other way which of them a TLS connection stands on. */
function peerOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ')
}
