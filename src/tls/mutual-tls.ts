// The listener: a server for HTTP/2 and HTTP/1.1 on one port that ends mutual TLS and remembers each connection.
// Given to Fastify as its serverFactory, so that every address it listens on gets the same treatment.

import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { malformed, OAuthError, type Reason } from '../core/errors.ts'
import { acceptsAnyone, assessAuthorities, requireAnyAuthority } from './authority-standing.ts'
import { toResponse } from './connect-response.ts'
import { type Connection, connectionOf, endConnection, keepConnection, rememberConnection } from './connection.ts'
import { type Counts, createCounts } from './counts.ts'
import { explainFailedHandshake, type TrustInForce } from './evaluate-certificate.ts'
import { type FailedHandshake, watchHandshakes } from './failed-handshakes.ts'
import { floodBudget, limitFloods } from './http2-floods.ts'
import {
  buildTlsOptions,
  type MinimumVersion,
  type ParsedMaterial,
  parseMaterial,
  type TlsMaterial,
} from './options.ts'
import { noteAnswered, type Retired, retireConnections } from './retirement.ts'
import { enforceTimeouts } from './timeouts.ts'
import { isSameTrust, loadTrust, nextEndOf, type Trust } from './trust.ts'

export interface MutualTlsOptions extends TlsMaterial {
  /** Default TLSv1.3. */
  readonly minVersion?: MinimumVersion
  /** Offer h2 beside http/1.1. Default true; false for Express and Connect, which cannot read such requests. */
  readonly http2?: boolean
  /** Drop a connection without an acceptable certificate after its handshake instead of answering in words. */
  readonly dropUnacceptable?: boolean
  /** Seconds after which a connection ends with its next answer. Default 3600. */
  readonly maximumAge?: number
  /** Whether a certificate is registered itself (RFC 8705 §2.2), by its `x5t#S256`. Default: none is. */
  readonly isPinned?: (thumbprint: string) => boolean
  /** Seconds. Default: those of docs/reference/limits.md; tests shorten them. */
  readonly timeouts?: Partial<typeof defaultTimeouts>
  /** Called for each connection that is dropped. */
  readonly onDrop?: (socket: TLSSocket, refusal: OAuthError) => void
  /** Called before a live connection is closed whose certificate was revoked. */
  readonly onClose?: (socket: TLSSocket, reason: Reason) => void
  /** Called when the time has come at which an authority or a revocation list ends, with what that ends. */
  readonly onEnd?: (retired: Retired) => void
  /** Called for an unexpected exception; the connection that it belongs to is destroyed, if it belongs to one. */
  readonly onError?: (error: Error, socket: TLSSocket | undefined) => void
  /** Called for each handshake that fails. */
  readonly onFailedHandshake?: (failed: FailedHandshake) => void
}

/** A `serverFactory` for Fastify. `reload` changes certificate, key, authorities and lists of all servers it made. */
export interface MutualTls {
  // Typed as Fastify types its HTTP/1.1 server: the two protocols look the same from a handler.
  (handler: Handler): Server
  /**
   * Takes new material. When that trusts others than before, live connections end: see docs/reference/limits.md.
   * @throws Error when the new material is not usable, or no client could be accepted; everything then stays as it was.
   */
  reload(material: TlsMaterial): Retired
  /** All connections whose handshake has ended and that are open. */
  readonly connections: ReadonlySet<Connection>
  /** What has happened on them so far. */
  readonly counts: Readonly<Counts>
  /** The certificates and lists that are in use now. */
  inUse(): InUse
}

export interface InUse {
  /** The server's certificate, then the intermediate ones. */
  readonly chain: readonly X509Certificate[]
  readonly trust: Trust
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** How many requests may be under way on one connection over HTTP/2. */
export const maxConcurrentStreams = 128

/** Seconds. A peer that stays below these holds a socket, and nothing else. */
export const defaultTimeouts = {
  handshake: 10,
  headers: 10,
  request: 30,
  idle: 60,
  /** For a peer to close its end of a connection over HTTP/2 that has ended. */
  linger: 2,
  /** After a change of whom we trust, each connection ends with its next answer from some moment within these on … */
  retirement: 30,
  /** … and without an answer when these have passed as well. */
  retirementGrace: 30,
  /** A connection whose certificate a new list revokes is closed after these; until then its requests are refused. */
  revoked: 0.5,
}

/** Milliseconds after which the clock is asked again whether something has ended: it may be set. */
const longestWait = 60_000

/** Builds the listener. @throws Error when the material is not usable. */
export function mutualTls(options: MutualTlsOptions): MutualTls {
  const { minVersion = 'TLSv1.3', maximumAge = 3600, isPinned = () => false } = options
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  let material = parseMaterial(options)
  const trusted: TrustInForce = { trust: loadTrust(material.authorities, material.lists), isPinned }
  requireAnyAuthority(trusted.trust)
  let tlsOptions = buildTlsOptions(material, minVersion)
  const servers = new Set<Http2SecureServer>()
  const connections = new Set<Connection>()
  const counts = createCounts()
  const onError = (error: Error, socket: TLSSocket | undefined) => {
    try {
      options.onError?.(error, socket)
    } catch {} // no recipient is left
  }
  const retirement = {
    within: timeouts.retirement,
    grace: timeouts.retirementGrace,
    revokedAfter: timeouts.revoked,
    onClose: options.onClose ?? (() => {}),
    onError,
  }
  const retire = (some: Iterable<Connection>) => retireConnections(some, trusted.trust, retirement)

  const factory = (handler: Handler): Server => {
    const isConnect = isConnectApp(handler)
    if (isConnect && options.http2 === true)
      throw new TypeError('http2: true, but Express and Connect cannot read requests over HTTP/2; leave http2 out')
    const server = createSecureServer({
      ...tlsOptions,
      allowHTTP1: true,
      // Node puts its own list, h2 first, in the place of ALPNProtocols; only the callback is asked before.
      ...((options.http2 === false || isConnect) && {
        ALPNCallback: ({ protocols }: { protocols: string[] }) => protocols.find(name => name === 'http/1.1'),
      }),
      headersTimeout: timeouts.headers * 1000,
      requestTimeout: timeouts.request * 1000,
      keepAliveTimeout: timeouts.idle * 1000,
      connectionsCheckingInterval: 2000,
      settings: { maxConcurrentStreams }, // RFC 9113 §6.5.2; without, as many as there is memory for
      requireHostHeader: false, // its absence is refused in server.ts, with a reason and an event
    } as Parameters<typeof createSecureServer>[0])
    watchHandshakes(server, (failed, socket) =>
      guard(socket, () => {
        counts.failedHandshakes[failed.failure]++
        options.onFailedHandshake?.(failed)
        const rejection = socket && explainFailedHandshake(socket, trusted.trust)
        if (rejection) options.onDrop?.(socket, new OAuthError('invalid_client', ...rejection))
      }),
    )
    const handshakes = new Map<string, Handshake>()
    server.on('connection', socket => {
      const peer = peerOf(socket)
      // A deadline for the whole handshake: Node's own starts again with every octet.
      const deadline = setTimeout(() => socket.destroy(), timeouts.handshake * 1000)
      const handshake = { deadline, trust: trusted.trust }
      handshakes.set(peer, handshake)
      socket.once('close', () => {
        clearTimeout(deadline)
        if (handshakes.get(peer) === handshake) handshakes.delete(peer)
      })
    })
    const accept = (socket: TLSSocket) => {
      const handshake = handshakes.get(peerOf(socket))
      clearTimeout(handshake?.deadline)
      const connection = rememberConnection(socket, trusted, counts, maximumAge * 1000)
      connections.add(connection)
      socket.once('close', () => connections.delete(connection))
      // OpenSSL is told not to renegotiate; should it do so all the same, what we remember would be wrong.
      socket.on('secure', () => socket.destroy())
      const { rejection } = connection
      if (options.dropUnacceptable === true && rejection !== undefined) {
        options.onDrop?.(socket, new OAuthError('invalid_client', ...rejection))
        socket.destroy()
      } else if (handshake?.trust !== trusted.trust) retire([connection]) // judged by what was trusted when it began
    }
    // Before HTTP's own listener, so that a request in the client's last flight finds its connection known.
    server.prependListener('secureConnection', socket => guard(socket, () => accept(socket)))
    server.on('session', session => {
      const connection = connectionOf(session.socket)
      if (connection === undefined) return
      connection.session = session
      // Node waits for the peer to close its end, for ever if it does not.
      session.once('close', () => {
        const { socket } = connection
        const timer = setTimeout(() => socket.destroy(), timeouts.linger * 1000).unref()
        socket.once('close', () => clearTimeout(timer))
      })
    })
    enforceTimeouts(server, timeouts)
    limitFloods(server, (socket, found) =>
      guard(socket, () => options.onDrop?.(socket, malformed('http2_flood', { found, limit: floodBudget.burst }))),
    )
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse) => {
      const connection = connectionOf(request.socket)
      if (connection !== undefined) {
        keepConnection(request, connection)
        if (performance.now() > connection.endsAfter) endConnection(request, response)
        if (request.httpVersionMajor === 1) {
          connection.underWay++
          response.on('close', onAnswered)
        }
      }
      handler(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    }
    const serveGuarded: typeof serve = (request, response) =>
      guard(connectionOf(request.socket)?.socket, () => serve(request, response))
    server.on('request', serveGuarded)
    server.on('checkExpectation', serveGuarded) // refused in server.ts; without a listener Node answers by itself
    server.on('connect', (request: IncomingMessage, peer: Http2ServerResponse | Socket) =>
      serveGuarded(
        request as unknown as Http2ServerRequest,
        toResponse(request, peer) as unknown as Http2ServerResponse,
      ),
    )
    servers.add(server)
    server.on('close', () => servers.delete(server))
    return server as unknown as Server
  }

  /** An error that is thrown here ends the connection that it belongs to and nothing else. */
  function guard(socket: TLSSocket | undefined, work: () => void): void {
    try {
      work()
    } catch (error) {
      socket?.destroy()
      onError(error as Error, socket)
    }
  }

  /** Waits for the next end of an authority or list, after which OpenSSL's verdicts are others. */
  let alarm: NodeJS.Timeout | undefined
  function awaitEnd(since: number): void {
    clearTimeout(alarm)
    const end = nextEndOf(trusted.trust, since)
    if (end === undefined) return
    const look = () =>
      guard(undefined, () => {
        const now = Date.now()
        awaitEnd(now)
        if (now < end) return
        const retired = retire(connections)
        options.onEnd?.(retired)
      })
    alarm = setTimeout(look, Math.min(Math.max(end - Date.now(), 0), longestWait)).unref()
  }
  awaitEnd(Date.now())

  const reload = (texts: TlsMaterial): Retired => {
    const next = parseMaterial(texts)
    const trust = loadTrust(next.authorities, next.lists)
    const isSame = isSameTrust(trust, trusted.trust)
    requireUsable(next, trust, { material, trust: trusted.trust }, Date.now())
    const nextOptions = buildTlsOptions(next, minVersion)
    for (const server of servers) server.setSecureContext(nextOptions)
    tlsOptions = nextOptions
    material = next
    if (isSame) return { revoked: 0, retired: 0 }
    trusted.trust = trust
    awaitEnd(Date.now())
    return retire(connections)
  }
  const inUse = () => ({ chain: material.chain, trust: trusted.trust })
  return Object.assign(factory, { reload, connections, counts, inUse })
}

/** Whether a handler is an app of Express or Connect: it replaces the prototype of each request by one of HTTP/1.1. */
function isConnectApp(handler: Handler): boolean {
  return typeof (handler as { handle?: unknown }).handle === 'function'
}

interface Handshake {
  readonly deadline: NodeJS.Timeout
  /** What was trusted when it began: OpenSSL judges it by that. */
  readonly trust: Trust
}

function onAnswered(this: Http2ServerResponse): void {
  const connection = connectionOf(this.req)
  if (connection !== undefined) noteAnswered(connection)
}

/** @throws Error for material with which nobody could be served any more, while that in use serves somebody. */
function requireUsable(
  next: ParsedMaterial,
  trust: Trust,
  inUse: { readonly material: ParsedMaterial; readonly trust: Trust },
  now: number,
): void {
  const isValid = ({ chain: [{ validFromDate, validToDate }] }: ParsedMaterial) =>
    validFromDate.getTime() <= now && now < validToDate.getTime()
  if (!isValid(next) && isValid(inUse.material)) {
    const { validFrom, validTo } = next.chain[0]
    throw new Error(`the server's certificate is valid from ${validFrom} to ${validTo}, which is not now; renew it`)
  }
  const standings = assessAuthorities(trust, now)
  if (standings.some(({ problem }) => problem === undefined) || !acceptsAnyone(inUse.trust, now)) return
  const problems = [...new Set(standings.map(({ problem }) => problem))]
  throw new Error(`no client could be accepted: ${problems.join(', and ')}`)
}

/** The two ends of a TCP connection. Node tells no other way which of them a TLS connection stands on. */
function peerOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ')
}
