// Assembles the server. Never listens, never reads the environment, and chooses no store, clock or logger.

import type { TLSSocket } from 'node:tls'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import fp from 'fastify-plugin'
import { isSameHost, parseAuthority } from '../core/authority.ts'
import { malformed, OAuthError } from '../core/errors.ts'
import { guardedWithLog, logError } from '../core/guard.ts'
import { otherSpelling } from '../core/policy.ts'
import { requireToken } from '../plugins/fastify.ts'
import { type RefusalListener, refuse } from '../plugins/refuse.ts'
import { connectionOf } from '../tls/connection.ts'
import { isSlowBodyAllowed } from '../tls/timeouts.ts'
import type { TokenDemand } from '../verify/demand.ts'
import { createTokenCheck } from '../verify/token-check.ts'
import { createTokenRecognizer } from '../verify/token-facts.ts'
import { type Claims, createTokenReader } from '../verify/token-reader.ts'
import { createTokenVerifier } from '../verify/token-verifier.ts'
import { SecretChecker } from './clients/client-secret.ts'
import { reportMissingKeys, requireKeys } from './clients/token-format.ts'
import { methods, refuseConnect } from './connect-requests.ts'
import { refuseCrossSite } from './cross-site.ts'
import { answerUnexpected, describeFrameworkError, guardErrorHandler, RequestError, readRefusal } from './errors.ts'
import { createClosing } from './incidents/closing.ts'
import { compareCertificates } from './incidents/compare-certificates.ts'
import { createContainment } from './incidents/containment.ts'
import { notFound, pathOf } from './not-found.ts'
import type { ServerOptions, ServerParts } from './parts.ts'
import { type Audit, claimedClient, explain } from './record-events.ts'
import { refuseBytes } from './refuse-bytes.ts'
import { isServerWide, normalizeRequest, requireAuthority, requireOriginForm } from './request-target.ts'
import { apiRoutes } from './routes/api.ts'
import { authorizeRoute } from './routes/authorize.ts'
import { authzRoute } from './routes/authz.ts'
import { bindingRoute } from './routes/binding.ts'
import { homeRoute } from './routes/home.ts'
import { introspectRoute } from './routes/introspect.ts'
import { leaksRoute } from './routes/leaks.ts'
import { metadataRoutes, wellKnown } from './routes/metadata.ts'
import { revokeRoute } from './routes/revoke.ts'
import { tokenRoute } from './routes/token.ts'
import { readTokenCookie, tokenCookieRoute } from './routes/token-cookie.ts'
import { followStore } from './state.ts'

/** Builds the server. The caller listens and closes. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { settings, audit, log } = options
  const { parts, stop } = await createParts(options)
  const { onRefusal } = parts
  const { verifier, resourceMetadata } = parts
  const app = createApp({ ...options, onRefusal, resourceMetadata })
  app.addHook('onClose', async () => stop())
  options.gateway?.mount(app, {
    check: createTokenCheck({ verifier, resourceMetadata, onWarning: message => log.warn(message) }),
    signer: { issuer: settings.issuer, sign: options.keys.sign, now: parts.now },
    refusal: { resourceMetadata, onRefusal },
    onTunnelEnd: audit.connectionClosed,
    onError: error => logError(log, error, 'unhandled error in the gateway'),
  })

  /** The paths of the issuer's own endpoints, most of which need no token. */
  const endpoints = new Set<string>()
  await app.register(async scope => {
    scope.addHook('onRoute', ({ url }) => void endpoints.add(url))
    await registerEndpoints(scope, parts)
    if (settings.unsafeTokenCookie)
      await scope.register(async part => tokenCookieRoute(part.addHook('onRequest', refuseCrossSite), parts))
  })
  const api = async (scope: FastifyInstance) => {
    if (settings.unsafeTokenCookie) readTokenCookie(scope)
    await apiRoutes(scope, parts)
  }
  await app.register(api, { prefix: '/api' })
  const { routes } = options
  if (routes === undefined) app.setNotFoundHandler(notFound)
  else
    await app.register(async scope => {
      scope.addHook('onRequest', (request, reply, done) => {
        if (request.is404 && endpoints.has(pathOf(request))) notFound.call(scope, request, reply)
        done()
      })
      await scope.register(requireToken, { verifier, resourceMetadata, onRefusal })
      scope.setNotFoundHandler(notFound) // within this scope, so that unmatched paths require a token too
      await scope.register(async own => routes(own)) // hooks and error handlers of these routes are theirs alone
    })
  // Unless an additional route has this path, or a route of the gateway may have it.
  if (options.gateway === undefined && !app.hasRoute({ method: 'GET', url: '/' })) {
    homeRoute(app, parts)
    endpoints.add('/')
  }
  return app
}

/** What an app needs. */
export type AppParts = Pick<ServerParts, 'tls' | 'audit' | 'log' | 'onRefusal' | 'resourceMetadata'>

/** Builds an app on the listener. It checks the head of each request, and answers errors. Its user answers unmatched paths. */
export function createApp(parts: AppParts): FastifyInstance {
  const { tls, audit, log, onRefusal } = parts
  const app = Fastify({
    serverFactory: handler => tls((request, response) => handler(normalizeRequest(request), response)),
    logger: false, // every decision is a security event; request logs would cost more than the token check
    bodyLimit: 65_536,
    return503OnClosing: false, // a request on a live connection is still answered, then the connection is closed
    routerOptions: { maxParamLength: 100 },
    frameworkErrors: ({ code }, request, reply) =>
      void refuse(request, reply, describeFrameworkError(code, request), { onRefusal }),
    clientErrorHandler: guardedWithLog(
      log,
      'unhandled error while refusing bytes',
      (error, socket) => {
        if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && isSlowBodyAllowed(socket)) return
        refuseBytes(socket as TLSSocket, error, refusal => audit.connectionRefused(socket as TLSSocket, refusal))
      },
      (_error, socket) => socket.destroy(),
    ),
  })
  useErrorHandler(app, parts)
  app.addHook('onRequest', (request, reply, done) => {
    if (checkRequest(request, reply)) done()
  })
  return app
}

/** Registers what makes a server an authorization server: its documents, tokens, and reports of leaks. */
async function registerEndpoints(app: FastifyInstance, parts: ServerParts): Promise<void> {
  metadataRoutes(app, parts)
  authorizeRoute(app)
  bindingRoute(app, parts)
  // Without proxies in the settings, the path is free for other routes.
  if (parts.tls.hasProxies) await app.register(async scope => authzRoute(scope, parts))
  for (const route of [tokenRoute, introspectRoute, revokeRoute, leaksRoute])
    await app.register(async scope => route(scope.addHook('onRequest', refuseCrossSite), parts))
}

/** `requireToken` for routes beside an embedded authorization server: it shares its keys, clock and revocations. */
export type RequireOwnToken = FastifyPluginAsync<TokenDemand>

/**
 * Registers the endpoints in an app that others have built on `options.tls`, in a scope of their own. Resolves with the plugin that
 * protects other routes of the app. The app closes what this opens.
 */
export async function embedServer(app: FastifyInstance, options: ServerOptions): Promise<RequireOwnToken> {
  const { tls, clients, audit } = options
  const { parts, stop } = await createParts(options)
  const detach = tls.attach({
    isPinned: thumbprint => clients.isPinned(thumbprint),
    findClient: clients.findClient,
    onDrop: audit.connectionRefused,
    onClose: audit.connectionClosed,
  })
  app.addHook('onClose', async () => {
    stop()
    detach()
  })
  await app.register(async scope => {
    useErrorHandler(scope, parts)
    scope.addHook('onRequest', (request, reply, done) => {
      if (checkRequest(request, reply)) done()
    })
    await registerEndpoints(scope, parts)
  })
  const { verifier, resourceMetadata, onRefusal } = parts
  return fp(async (scope: FastifyInstance, demand: TokenDemand) => {
    // The error handler of this scope belongs to the app, so that a refusal is sent here.
    scope.addHook('onRequest', (request, reply, done) => {
      try {
        if (checkRequest(request, reply)) done()
      } catch (error) {
        answerError(error, request, reply, parts)
      }
    })
    await scope.register(requireToken, { ...demand, verifier, resourceMetadata, onRefusal })
  })
}

/** Builds what the routes are given. `stop` ends what it follows. Rejects as the store does. */
async function createParts(options: ServerOptions): Promise<{ parts: ServerParts; stop: () => void }> {
  const { settings, tls, audit, log, store, clients, keys, clock } = options
  const { issuer, audience } = settings
  const now = () => Math.floor(clock() / 1000)
  // A registration in the store can only be changed by a server that runs: its token requests are refused.
  const ofFile = clients.all.filter(({ origin }) => origin === 'file').map(({ registration }) => parse(registration))
  if (options.keysChecked !== true) requireKeys(ofFile, keys, now())
  const closing = createClosing({
    connections: tls.connections,
    audit,
    isEnabled: id => clients.isEnabled(id),
    log,
    after: options.closeAfter ?? 500,
  })
  const state = await followStore(store, clients, now, closing.onChange, log)
  const { closeCertificate: closeConnections } = closing
  const contain = options.contain ?? (own => audit.observe(createContainment(own)))
  contain({ clients, store, audit, log, closeConnections, now })
  const findKey = (kid: string) => keys.find(kid, now())
  const readToken = createTokenReader(findKey, async hash => parse(await store.findAccessToken(hash)), issuer)
  const record = recordRefusals(audit, log)
  const onRefusal: RefusalListener = (request, refusal, status) => {
    const { token } = refusal
    if (token !== undefined)
      token.came_with = compareCertificates(connectionOf(request.raw), token, claimedClient(request), clients)
    record(request, refusal, status)
  }
  const parts: ServerParts = {
    ...options,
    onRefusal,
    now,
    targets: {
      fallback: audience,
      find(resource) {
        const isTarget = (name: string) => name === audience || clients.hasResource(name)
        return isTarget(resource) ? resource : [otherSpelling(resource)].find(isTarget)
      },
    },
    secrets: options.secrets ?? new SecretChecker(clock),
    readToken,
    attachTokenFacts: createTokenRecognizer({ readToken, isRevoked: state.isRevoked, store, now }),
    state,
    verifier: createTokenVerifier({
      ...{ issuer, audience, readToken, now: () => clock() / 1000 },
      findRevocation: state.findRevocation,
      keyGeneration: () => keys.generation,
    }),
    resourceMetadata: new URL(wellKnown('oauth-protected-resource', audience), audience).href,
  }
  const stopFormats = options.keysChecked ? () => {} : reportMissingKeys(parts)
  return {
    parts,
    stop: () => {
      stopFormats()
      state.stop()
    },
  }
}

/** Creates the listener that records each refusal as an event, and logs its cause. */
export function recordRefusals(audit: Audit, log: FastifyBaseLogger): RefusalListener {
  const logged = new WeakSet<object>() // requests that fail by the same cause, such as an unreachable issuer, are logged once
  return (request, refusal, status) => {
    const { reason, cause } = refusal
    const isNew = typeof cause === 'object' && cause !== null && !logged.has(cause)
    if (isNew) {
      logged.add(cause)
      logError(log, cause, reason, { request_id: request.id, ...explain(refusal) })
    } else if (log.level === 'debug') log.debug({ request_id: request.id, status, ...explain(refusal) }, reason)
    audit.refused(request, refusal, status)
  }
}

type ErrorParts = Pick<ServerParts, 'log' | 'onRefusal' | 'resourceMetadata'>

/** Answers what the routes of this scope throw. */
function useErrorHandler(app: FastifyInstance, parts: ErrorParts): void {
  app.setErrorHandler(
    guardErrorHandler(parts.log, (error, request, reply) => answerError(error, request, reply, parts)),
  )
}

function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, resourceMetadata, onRefusal }: ErrorParts,
): unknown {
  // The client has cut the request off: no answer arrives. A decision is an event all the same.
  if (request.raw.aborted && !(error instanceof OAuthError)) return void reply.hijack()
  const known = readRefusal(error, request)
  if (known === undefined) return answerUnexpected(request, reply, log, error)
  return refuse(request, reply, known.refusal, { resourceMetadata, status: known.status, onRefusal })
}

/**
 * Checks the head of a request: method, host, target, expectation. False: it has been answered.
 * @throws RequestError or OAuthError for a request that is refused.
 */
function checkRequest(request: FastifyRequest, reply: FastifyReply): boolean {
  const { raw } = request
  const { expect } = raw.headers
  refuseConnect(request, reply)
  requireHost(requireAuthority(raw), raw.socket)
  if (isServerWide(raw)) {
    reply.code(204).header('allow', methods).send()
    return false
  }
  requireOriginForm(raw)
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw new RequestError(417, 'expectation', { found: expect })
  return true
}

/**
 * Refuses a request for another host than the one in its TLS handshake (RFC 9110 §15.5.20). Without SNI, any host is
 * accepted.
 * @throws RequestError 421, or OAuthError `malformed_request` for an invalid host.
 */
function requireHost(authority: string, socket: object): void {
  const connection = connectionOf(socket)
  if (connection === undefined || authority === connection.authority) return
  const { servername: named } = socket as { servername?: string | false | null }
  if (typeof named === 'string' && !isSameHost(authority, named))
    throw new RequestError(421, 'misdirected', { host: authority, server_name: named })
  if (parseAuthority(authority) === undefined) throw malformed('host_malformed', { host: authority })
  connection.authority = authority
}

function parse(claims: string | undefined): Claims | undefined {
  return claims === undefined ? undefined : JSON.parse(claims)
}
