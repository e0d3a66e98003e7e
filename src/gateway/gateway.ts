// The gateway: verifies a request as `requireToken` does, and forwards it to the upstream of its route. It answers what no route of
// its app answers, and leaves a request without a route of its own to the app, which refuses it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AccessToken } from '../core/access-token.ts'
import { malformed, OAuthError } from '../core/errors.ts'
import { whenReady } from '../core/when-ready.ts'
import { type RefusalOptions, refuse } from '../plugins/refuse.ts'
import { type RelayFailure, relay } from '../relay/relay.ts'
import { endWithBody, separateBody } from '../relay/unread.ts'
import { connectionOf } from '../tls/connection.ts'
import { allowSlowBody } from '../tls/timeouts.ts'
import { contentRefusalOf, onContentRefused } from '../verify/content-guard.ts'
import { type AssertionSigner, createStatement, type StateIdentity } from './assertion.ts'
import type { GatewayCounts, Outcome } from './counts.ts'
import { describeFailure, tooMany, type UpstreamRefusal } from './failures.ts'
import { buildFields, hasBody, originFields } from './fields.ts'
import { createRouteTable } from './routes.ts'
import { createTrailerDispatcher, readAnnounced } from './trailers.ts'
import { isWebSocket } from './tunnel.ts'
import { createTunnels, type TunnelHost, tunnelLimits } from './tunnels.ts'
import { type LoadedRoute, type OpenRoute, openUpstream, upstreamLimits } from './upstream.ts'

/** What the gateway needs of its app. */
export interface GatewayHost extends TunnelHost {
  readonly signer: AssertionSigner
  readonly refusal: Pick<RefusalOptions, 'resourceMetadata' | 'onRefusal'>
}

export interface Gateway {
  /** Adds the gateway to an app, once, before the app listens. */
  mount(app: FastifyInstance, host: GatewayHost): void
  /** Replaces all routes. Requests under way end on the old ones; open tunnels end unless their route is unchanged. */
  replace(routes: readonly LoadedRoute[]): void
  readonly counts: GatewayCounts
}

/** Requests for a WebSocket, whose connection Node has handed over. */
const upgrading = new WeakSet<object>()

/** Requests that wait for 100 Continue. Its answer waits for the verification, so that a refused body is not sent. */
const awaiting = new WeakSet<object>()

export function createGateway(initial: readonly LoadedRoute[]): Gateway {
  let table = createRouteTable(open(initial))
  const requests = new Map<string, Record<Outcome, number>>()
  const failures = new Map<string, number>()
  const tunnels = createTunnels()
  for (const { name } of initial) countersOf(name)

  function open(routes: readonly LoadedRoute[]): OpenRoute[] {
    return routes.map(route => ({ ...route, pool: openUpstream(route) }))
  }

  function countersOf(name: string): Record<Outcome, number> {
    const known = requests.get(name) ?? { answered: 0, refused: 0, failed: 0, aborted: 0 }
    requests.set(name, known)
    return known
  }

  function closeTable(): Promise<unknown> {
    return Promise.allSettled(table.routes.map(({ pool }) => pool.close()))
  }

  function mount(app: FastifyInstance, host: GatewayHost): void {
    const { server } = app
    const state = createStatement(host.signer)
    // With another method than theirs, they are refused by the app, not forwarded.
    const ownPaths = new Set<string>()
    app.addHook('onRoute', ({ url }) => void ownPaths.add(url))
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      awaiting.add(request)
      server.emit('request', request, response)
    })
    ;(server as unknown as { shouldUpgradeCallback: typeof isWebSocket }).shouldUpgradeCallback = isWebSocket
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, first: Buffer) => {
      upgrading.add(request)
      if (first.length > 0) socket.unshift(first)
      server.emit('connect', request, socket) // the listener answers on a bare socket
    })
    app.addHook('preParsing', (request, reply, _payload, done) => {
      acceptBody(request.raw, reply.raw)
      done()
    })
    const handle = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      const { url = '/', method = '' } = request.raw
      const query = url.indexOf('?')
      const path = query === -1 ? url : url.slice(0, query)
      if (!request.is404 || ownPaths.has(path)) return done()
      const authority = authorityOf(request.raw)
      const selectedFrom = table
      const found = selectedFrom.find(authority, path)
      if (found === undefined) return done()
      const { route, rest } = found
      const exchange = {
        request,
        reply,
        route,
        method,
        authority,
        target: rest + (query === -1 ? '' : url.slice(query)),
      }
      // Routes that were replaced during the verification are closed, and the new ones can demand more.
      serve(exchange, { isCurrent: () => table === selectedFrom, again: () => handle(request, reply, done) })
    }
    app.addHook('onRequest', handle)
    app.addHook('onClose', () => closeTable())
    const timer = setInterval(() => tunnels.recheck(host), tunnelLimits.recheck).unref()
    app.addHook('preClose', async () => {
      clearInterval(timer)
      tunnels.endUnless(() => false)
    })

    const serve = (exchange: Exchange, { isCurrent, again }: Selection) => {
      const { request, reply, route, method } = exchange
      const { raw } = request
      const stop = (error: unknown, status?: number) => {
        countersOf(route.name).refused++
        if (error instanceof OAuthError) refuse(request, reply, error, { ...host.refusal, status, challenge: true })
        else reply.send(error)
      }
      if (!isAllowed(route, method)) {
        const expected = [...(route.methods ?? [])].join(', ')
        reply.header('allow', expected)
        return stop(malformed('method_not_allowed', { found: method, expected }), 405)
      }
      const pass = (token: AccessToken | undefined) => {
        if (isGone(raw, reply.raw)) {
          countersOf(route.name).aborted++ // while its token was verified
          return
        }
        try {
          if (isCurrent()) forward(exchange, token, host, state)
          else again()
        } catch (error) {
          stop(error)
        }
      }
      if (route.demand === undefined) pass(undefined)
      else void whenReady(() => host.check(raw, route.demand), pass, stop)
    }
  }

  function forward(exchange: Exchange, token: AccessToken | undefined, host: GatewayHost, state: StateIdentity): void {
    const { request, route, authority } = exchange
    const { raw } = request
    const withBody = hasBody(raw)
    if (route.demand?.proof === 'signed-request')
      onContentRefused(raw, refusal => host.refusal.onRefusal?.(request, refusal, 401))
    const stated = token === undefined ? [] : state(route, token, connectionOf(raw))
    const headers = buildFields(raw, route, [...originFields(raw, authority), ...stated])
    const answers = answerFailures(exchange, host)
    if (upgrading.has(raw)) tunnels.open({ ...exchange, token, headers, ...answers })
    else sendRequest(exchange, withBody, headers, answers)
  }

  /** Answers failures of the upstream, and counts the request when it is over. */
  function answerFailures({ request, reply, route }: Exchange, host: GatewayHost): Answers {
    const response = reply.raw
    let outcome: Outcome = 'answered'
    // After the other listeners, one of which finds that the client has disconnected.
    response.once('close', () => queueMicrotask(() => countersOf(route.name)[outcome]++))
    const answer = ({ status, refusal }: UpstreamRefusal) => {
      outcome = 'failed'
      failures.set(refusal.detail, (failures.get(refusal.detail) ?? 0) + 1)
      if (!response.headersSent) refuse(request, reply, refusal, { ...host.refusal, status, challenge: true })
    }
    return {
      answer,
      onFailure(failure, error) {
        const refused = contentRefusalOf(request.raw)
        if (refused !== undefined) {
          outcome = 'refused'
          if (response.headersSent) return
          if (refused instanceof OAuthError)
            refuse(request, reply, refused, { ...host.refusal, onRefusal: undefined, challenge: true })
          else reply.send(refused)
          return
        }
        const described = describeFailure(failure, error, route)
        if (failure === 'gone') outcome = 'aborted'
        else if (described !== undefined) answer(described)
        else {
          outcome = 'failed'
          if (response.headersSent) host.onError(error as Error)
          else reply.send(error)
        }
      },
    }
  }

  function sendRequest(
    { request, reply, route, method, target }: Exchange,
    withBody: boolean,
    headers: string[],
    { answer, onFailure }: Answers,
  ): void {
    const { pool, timeout, upstream } = route
    if (pool.underWay >= upstreamLimits.requests) {
      answer(tooMany('upstream_unavailable', 'busy', { address: upstream.text, limit: upstreamLimits.requests }))
      return
    }
    const { raw } = request
    const response = reply.raw
    const announced = withBody ? readAnnounced(raw) : []
    const dispatcher =
      announced.length === 0
        ? pool.dispatcher
        : createTrailerDispatcher({ connect: pool.connect, host: pool.host, request: raw, announced })
    let received = 0
    pool.underWay++
    response.once('close', () => pool.underWay--)
    relay(response, {
      ...{ dispatcher, method, path: target, timeout },
      build() {
        if (!withBody) return { headers, body: null }
        acceptBody(raw, response)
        allowSlowBody(raw)
        const body = separateBody(raw, length => {
          received += length
        })
        response.once('close', () => body.destroy())
        return { headers, body }
      },
      received: () => received,
      onHead() {
        if (withBody) endUnread(raw, response)
      },
      onFailure(failure, error) {
        if (withBody && !response.headersSent) endUnread(raw, response)
        onFailure(failure, error)
      },
    })
  }

  return {
    mount,
    replace(routes) {
      const next = createRouteTable(open(routes))
      void closeTable()
      table = next
      for (const { name } of routes) countersOf(name)
      const kept = new Set(routes.map(rulesOf))
      tunnels.endUnless(route => kept.has(rulesOf(route)))
    },
    counts: {
      requests,
      failures,
      get tunnels() {
        return tunnels.size
      },
    },
  }
}

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly route: OpenRoute
  readonly method: string
  readonly authority: string
  /** The path for the upstream, with the query. */
  readonly target: string
}

interface Selection {
  /** Returns whether the routes that the route was selected from are still in use. */
  readonly isCurrent: () => boolean
  /** Selects a route anew. @throws OAuthError as the selection */
  readonly again: () => void
}

interface Answers {
  /** Answers a refusal of the gateway itself. */
  readonly answer: (refused: UpstreamRefusal) => void
  readonly onFailure: (failure: RelayFailure, error?: Error) => void
}

/** What a tunnel depends on: a route that reads the same allows it still. */
function rulesOf({ name, upstream, demand, methods, material }: LoadedRoute): string {
  return JSON.stringify([name, upstream.text, demand, methods && [...methods], material.ca])
}

/** HEAD is allowed where GET is (RFC 9110 §9.3.2). TRACE would return to the client what the gateway adds. */
function isAllowed({ methods }: OpenRoute, method: string): boolean {
  if (method === 'TRACE') return false
  return methods === undefined || methods.has(method) || (method === 'HEAD' && methods.has('GET'))
}

/** The host of a request; the app has compared it with the handshake. */
function authorityOf({ headers }: FastifyRequest['raw']): string {
  return (headers[':authority'] as string | undefined) ?? headers.host ?? ''
}

/**
 * Returns whether the client of a request has disconnected. No event will announce it any more. Over HTTP/1.1 the connection is that
 * of the request: the response to a pipelined request has none before its turn.
 */
function isGone(request: IncomingMessage, response: ServerResponse): boolean {
  const { stream } = response as unknown as Partial<Http2ServerResponse>
  if (stream !== undefined) return stream.destroyed || stream.closed
  return response.destroyed || request.socket.destroyed
}

/** Sends 100 Continue if the client waits for it. */
function acceptBody(request: IncomingMessage, response: ServerResponse): void {
  if (awaiting.delete(request) && !response.headersSent) response.writeContinue()
}

/** Ends the rest of a body that will not be read: the connection over HTTP/1.1, the stream over HTTP/2. */
function endUnread(request: IncomingMessage, response: ServerResponse): void {
  const { stream } = request as unknown as Partial<Http2ServerRequest>
  if (stream === undefined) endWithBody(request, response)
  else response.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR))
}
