// The listener: a server for HTTP/2 and HTTP/1.1 on one port that terminates mutual TLS and stores the state of each connection.
// Fastify uses it as its serverFactory, so that every address that Fastify listens on is protected.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { checkOptions, describeFound } from '../core/check-options.ts'
import { collectRanges } from '../core/cidr.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import { answerMalformed } from './answer-malformed.ts'
import { requireAnyAuthority } from './authority-standing.ts'
import { toResponse } from './connect-response.ts'
import {
  type Connection,
  connectionOf,
  endConnection,
  findConnectionOf,
  keepConnection,
  rememberConnection,
} from './connection.ts'
import { createCounts } from './counts.ts'
import { endsOf } from './ends.ts'
import { explainFailedHandshake, type TrustInForce } from './evaluate-certificate.ts'
import { watchHandshakes } from './failed-handshakes.ts'
import { trackForwardedRequests } from './forwarded-requests.ts'
import { createForwarding } from './forwarding.ts'
import { limitHandshakes } from './handshake-deadlines.ts'
import { deferRequests, limitFloods, resetLimits } from './http2-floods.ts'
import { CompleteResponse, callOverHttp2, type Handler, isConnectApp, wrappedExpress } from './http2-handler.ts'
import {
  defaultTimeouts,
  type ListenerHooks,
  type MutualTls,
  type MutualTlsOptions,
  maxConcurrentStreams,
  optionRules,
  timeoutRules,
} from './listener-options.ts'
import { buildTlsOptions, materialRules, optionalMaterialRules, parseMaterial, type TlsMaterial } from './options.ts'
import { createProxiedPeers } from './proxied-peers.ts'
import { createProxyServer } from './proxy-socket.ts'
import { noteAnswered, type Retired, retireConnections } from './retirement.ts'
import { enforceTimeouts } from './timeouts.ts'
import { isSameTrust, loadTrust, nextEndOf } from './trust.ts'
import { requireUsable } from './usable-material.ts'

/** Milliseconds after which the expiry times are compared with the clock again, because the clock can be set. */
const longestWait = 60_000

/** Creates the listener. @throws TypeError that names each wrong or unknown option; Error if the material is invalid. */
export function mutualTls(options: MutualTlsOptions): MutualTls {
  checkOptions(options, undefined, materialRules, optionRules)
  checkOptions(options.timeouts ?? {}, 'timeouts', {}, timeoutRules)
  const { minVersion = 'TLSv1.3', maximumAge = 3600 } = options
  const hooks = new Set<Partial<ListenerHooks>>([options])
  const isRegistered = (thumbprint: string) => [...hooks].some(each => each.isPinned?.(thumbprint) === true)
  // The certificate of a proxy that is given itself needs no authority either.
  const isPinned = (thumbprint: string) =>
    material.proxies.some(({ certificates }) => certificates.has(thumbprint)) || isRegistered(thumbprint)
  const onDrop: ListenerHooks['onDrop'] = (socket, refusal) => {
    for (const each of hooks) each.onDrop?.(socket, refusal)
  }
  const timeouts = { ...defaultTimeouts, ...definedOf(options.timeouts) }
  let material = parseMaterial(options)
  const trusted: TrustInForce = { trust: loadTrust(material.authorities, material.lists), isPinned }
  requireAnyAuthority(trusted.trust)
  const ofClients: TrustInForce = {
    get trust() {
      return trusted.trust
    },
    isPinned: isRegistered,
  }
  const findClient = (certificate: PresenterCertificate) => {
    for (const each of hooks) {
      const client = each.findClient?.(certificate)
      if (client !== undefined) return client
    }
    return undefined
  }
  const findClientConnection = createForwarding(ofClients, () => material.proxies, findClient)
  let tlsOptions = buildTlsOptions(material, minVersion)
  const balancers = collectRanges(options.proxyProtocolFrom ?? [])
  const proxied = balancers && createProxiedPeers(balancers)
  const servers = new Set<Http2SecureServer>()
  const connections = new Set<Connection>()
  const counts = createCounts()
  let isWarned = false
  const onError = (error: Error, socket: TLSSocket | undefined) => {
    if (error.message === wrappedExpress && !isWarned) {
      isWarned = true
      process.emitWarning(wrappedExpress, 'TlsboundWarning')
    }
    try {
      options.onError?.(error, socket)
    } catch {} // no recipient is left
  }
  const retirement = {
    within: timeouts.retirement,
    grace: timeouts.retirementGrace,
    linger: timeouts.linger,
    revokedAfter: timeouts.revoked,
    onClose: (socket: TLSSocket, reason: Reason) => {
      for (const each of hooks) each.onClose?.(socket, reason)
    },
    onError,
  }
  const track = trackForwardedRequests({
    onEnd: (connection, reason) => {
      for (const each of hooks) each.onClose?.(connection.socket, reason, connection)
    },
    onError: error => onError(error, undefined),
  })
  const retire = (some: Iterable<Connection>) => retireConnections(some, trusted.trust, retirement)

  const factory = (handler: Handler): Server => {
    if (typeof handler !== 'function') throw new TypeError(`handler must be a function, not ${describeFound(handler)}`)
    const isConnect = isConnectApp(handler)
    if (isConnect && options.http2 === true)
      throw new TypeError('http2: true, but Express and Connect do not support HTTP/2; omit http2')
    const spoken = options.http2 === false || isConnect ? ['http/1.1'] : ['h2', 'http/1.1']
    const server = createSecureServer({
      ...tlsOptions,
      allowHTTP1: true,
      // Node replaces ALPNProtocols by a list of its own, and copies it for each connection into 64 KiB of memory that it shares with
      // other buffers: an idle connection can retain all of them.
      ALPNCallback: ({ protocols }: { protocols: string[] }) => spoken.find(name => protocols.includes(name)),
      headersTimeout: timeouts.headers * 1000,
      requestTimeout: timeouts.request * 1000,
      keepAliveTimeout: timeouts.idle * 1000,
      connectionsCheckingInterval: 2000,
      Http2ServerResponse: CompleteResponse,
      ...resetLimits,
      settings: { maxConcurrentStreams }, // RFC 9113 §6.5.2; the default is unlimited
      requireHostHeader: false, // server.ts rejects a missing header, with a reason and an event
    } as Parameters<typeof createSecureServer>[0])
    const onFailure: Parameters<typeof watchHandshakes>[1] = (failed, socket) =>
      guard(socket, () => {
        counts.failedHandshakes[failed.failure]++
        options.onFailedHandshake?.(failed)
        const rejection = socket && explainFailedHandshake(socket, trusted.trust)
        if (rejection) onDrop(socket, new OAuthError('invalid_client', ...rejection))
      })
    watchHandshakes(server, onFailure, proxied)
    const completeHandshake = limitHandshakes(server, timeouts.handshake, () => trusted.trust)
    const accept = (socket: TLSSocket) => {
      const verifiedWith = completeHandshake(endsOf(socket))
      proxied?.adopt(socket)
      const connection = rememberConnection(socket, trusted, counts, maximumAge * 1000)
      connections.add(connection)
      socket.once('close', () => connections.delete(connection))
      // Renegotiation is disabled. If it happened nevertheless, the stored state would be wrong.
      socket.on('secure', () => socket.destroy())
      const { rejection } = connection
      if (options.dropUnacceptable === true && rejection !== undefined) {
        onDrop(socket, new OAuthError('invalid_client', ...rejection))
        socket.destroy()
      } else if (verifiedWith !== trusted.trust) retire([connection]) // a reload during the handshake
    }
    // Before the listener of the HTTP server, because the last flight of the client can already contain a request.
    server.prependListener('secureConnection', socket => guard(socket, () => accept(socket)))
    server.on('session', session => {
      const connection = connectionOf(session.socket)
      if (connection === undefined) return
      connection.session = session
      keepConnection(session, connection) // the listeners of `session` below read it
    })
    enforceTimeouts(server, timeouts)
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (server.listenerCount('clientError') === 1) answerMalformed(error, socket) // else the app does it
    })
    limitFloods(server, (socket, refusal) => guard(socket, () => onDrop(socket, refusal)))
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse, connection: Connection | undefined) => {
      // The last response of the connection was sent. What follows must not be acted on (RFC 9112 §9.6).
      if (request.httpVersionMajor === 1 && !request.socket.writable) return
      if (connection !== undefined) {
        const ofClient = findClientConnection(connection, request)
        keepConnection(request, ofClient)
        if (ofClient !== connection)
          track(ofClient, request as unknown as IncomingMessage, response as unknown as ServerResponse)
        if (performance.now() > connection.endsAfter) endConnection(request, response)
        if (request.httpVersionMajor === 1) {
          connection.underWay++
          response.on('close', onAnswered)
        }
      }
      const given = [request as unknown as IncomingMessage, response as unknown as ServerResponse] as const
      if (request.httpVersionMajor === 1) handler(...given)
      else callOverHttp2(handler, ...given)
    }
    const serveGuarded = (request: Http2ServerRequest, response: Http2ServerResponse) => {
      const connection = findConnectionOf(request)
      guard(connection?.socket, () => serve(request, response, connection))
    }
    server.on('request', serveGuarded)
    server.on('checkExpectation', serveGuarded) // server.ts rejects it; without a listener Node would respond
    server.on('connect', (request: IncomingMessage, peer: Http2ServerResponse | Socket) =>
      serveGuarded(
        request as unknown as Http2ServerRequest,
        toResponse(request, peer) as unknown as Http2ServerResponse,
      ),
    )
    deferRequests(server)
    if (servers.size === 0) awaitEnd(Date.now())
    servers.add(server)
    server.on('close', () => {
      servers.delete(server)
      if (servers.size === 0) clearTimeout(alarm)
    })
    return server as unknown as Server
  }

  /** Runs `work`; an exception destroys only the connection that it belongs to. */
  function guard(socket: TLSSocket | undefined, work: () => void): void {
    try {
      work()
    } catch (error) {
      socket?.destroy()
      onError(error as Error, socket)
    }
  }

  /** Waits for the next expiry of an authority or list, because it changes the verdicts of OpenSSL. */
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

  const reload = (texts: TlsMaterial): Retired => {
    checkOptions(texts, 'material', materialRules, optionalMaterialRules)
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
    if (servers.size > 0) awaitEnd(Date.now())
    return retire(connections)
  }
  const inUse = () => ({ chain: material.chain, trust: trusted.trust, proxies: material.proxies })
  const hasServer = (server: object) => servers.has(server as Http2SecureServer)
  const attach = (more: ListenerHooks) => {
    hooks.add(more)
    return () => void hooks.delete(more)
  }
  const proxyServer = (server: Server) => createProxyServer(server, counts.withoutTls, timeouts)
  const hasProxies = options.clientCertFrom !== undefined
  return Object.assign(factory, {
    reload,
    connections,
    counts,
    inUse,
    hasServer,
    attach,
    hasProxies,
    createProxyServer: proxyServer,
  })
}

/** Returns the members that are not undefined, so that they do not replace a default. */
function definedOf<T extends object>(members: T = {} as T): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T
}

function onAnswered(this: Http2ServerResponse): void {
  const connection = connectionOf(this.req)
  if (connection !== undefined) noteAnswered(connection.forwarded?.by ?? connection)
}
