// The ops listener: health, readiness and administration of a running server, in plain HTTP for this machine only. Never
// listens, never reads the environment, and chooses no store, clock or logger.

import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { guardedWithLog } from '../core/guard.ts'
import { acceptJson } from '../server/bodies.ts'
import { refuseConnect } from '../server/connect-requests.ts'
import { findCrossSite } from '../server/cross-site.ts'
import { describeFrameworkError, guardErrorHandler } from '../server/errors.ts'
import { notFound } from '../server/not-found.ts'
import { refuseBytes } from '../server/refuse-bytes.ts'
import { toResponse } from '../tls/connect-response.ts'
import { createTokenCheck, requireLoopbackHost } from './access.ts'
import { backupRoute } from './backup.ts'
import { clientRoutes } from './clients.ts'
import { healthRoutes } from './health.ts'
import { liveRoutes } from './live.ts'
import { metricsRoute } from './metrics/route.ts'
import { createTurns, type OpsOptions, type OpsParts } from './parts.ts'
import { answerError } from './refusals.ts'
import { reloadRoute } from './reload.ts'
import { revocationRoute } from './revocations.ts'
import { secretRoutes } from './secrets.ts'

/** Milliseconds that pending requests have to end when it closes. */
const shutdownTimeout = 1000

/** Checks whether a method only reads (RFC 9110 §9.2.1). A page of another origin cannot read the response. */
const isSafe = (method: string) => method === 'GET' || method === 'HEAD' || method === 'OPTIONS'

const httpOptions = {
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  requireHostHeader: false, // access.ts refuses a missing Host, with a reason and an event
}

function endRequest({ socket }: IncomingMessage): void {
  socket.destroy()
}

/** Builds the ops listener. The caller listens on a loopback address, and closes. */
export function createOpsServer(options: OpsOptions): FastifyInstance {
  const { audit, log, clock, token } = options
  const parts: OpsParts = { ...options, now: () => Math.floor(clock() / 1000), inTurn: createTurns() }
  let requests = 0
  const app = Fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => `ops-${++requests}`, // distinguishes its events from those of the other listener
    bodyLimit: 65_536,
    // Fastify's own server does not catch an error before a request has a reply.
    serverFactory: handler => {
      const serve = guardedWithLog(log, 'unhandled error in a request', handler, endRequest)
      const server = createServer(httpOptions, serve)
      return server.on('connect', (request, socket) => serve(request, toResponse(request, socket as Socket)))
    },
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 }, // 128 characters of a client_id, each as %XX
    frameworkErrors: ({ code }, request, reply) =>
      void answerError(describeFrameworkError(code, request), request, reply, audit),
    clientErrorHandler: guardedWithLog(
      log,
      'unhandled error while refusing bytes',
      (error, socket) =>
        refuseBytes(socket as Socket, error, refusal => audit.connectionRefused(socket as TLSSocket, refusal)),
      (_error, socket) => socket.destroy(),
    ),
  })
  const checkToken = createTokenCheck(token)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', 'no-store').header('cross-origin-resource-policy', 'same-origin')
    refuseConnect(request, reply)
    requireLoopbackHost(request)
    const crossSite = isSafe(request.method) ? undefined : findCrossSite(request.raw)
    if (crossSite !== undefined) throw crossSite
    if (request.routeOptions.config?.openOnLoopback !== true) checkToken(request)
    done()
  })
  app.setErrorHandler(guardErrorHandler(log, (error, request, reply) => answerError(error, request, reply, audit)))
  app.setNotFoundHandler(notFound)

  app.addHook('preClose', async () => {
    setTimeout(() => app.server.closeAllConnections(), shutdownTimeout).unref() // also those without a request
  })

  acceptJson(app)
  const routes = [healthRoutes, clientRoutes, secretRoutes, revocationRoute, backupRoute, reloadRoute]
  for (const add of routes) add(app, parts)
  if (options.metrics !== undefined) metricsRoute(app, parts, options.metrics.registry)
  liveRoutes(app, parts)
  return app
}
