// The probe listener: health, readiness and metrics for the machines of a cluster, which reach a server by its address. Any Host,
// no token, no event, and nothing else: administration has the ops listener.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { guardedWithLog } from '../core/guard.ts'
import { findObstacle, type ReadinessParts } from './health.ts'
import { registerReadiness } from './metrics/route.ts'
import type { OpsOptions } from './parts.ts'

/** Milliseconds for which a result is shared, so that many requests cause one check of the store. */
const shared = 250

/** Milliseconds for a request to arrive. A probe is one packet. */
const requestTimeout = 5000

export interface ProbeParts extends ReadinessParts, Pick<OpsOptions, 'log' | 'writeMetrics'> {
  readonly metrics: { readonly registry: Registry }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Builds the listener. The caller listens, and closes. */
export function createProbeServer(parts: ProbeParts): Server {
  const { registry } = parts.metrics
  registerReadiness(registry, parts)
  const findReadiness = share(async () => {
    const obstacle = await findObstacle(parts)
    if (obstacle === undefined) return json(200, { status: 'ready' })
    parts.log.warn({ err: obstacle.cause, detail: obstacle.detail }, 'not ready')
    return json(503, { status: 'not ready', detail: obstacle.detail })
  })
  const alive = () => json(200, { status: 'alive' })
  const routes: Readonly<Record<string, () => Answer | Promise<Answer>>> = {
    '/health': alive,
    '/healthz': alive,
    '/ready': findReadiness,
    '/readyz': findReadiness,
    '/metrics': share(async () => ({
      ...{ status: 200, type: registry.contentType },
      body: await (parts.writeMetrics?.(registry) ?? registry.metrics()),
    })),
  }

  async function serve({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = url.replace(/[?#].*$/s, '')
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined
    const isRead = method === 'GET' || method === 'HEAD'
    const answer = isRead ? await (route?.() ?? json(404, { error: 'not found' })) : json(405, { error: 'use GET' })
    const { status, type, body } = answer
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(status === 405 && { allow: 'GET, HEAD' }),
      connection: 'close', // so that no request body is read, and no idle connection is left
    })
    response.end(method === 'HEAD' ? undefined : body)
  }

  const server = createServer(
    {
      headersTimeout: requestTimeout,
      requestTimeout,
      connectionsCheckingInterval: 1000,
      requireHostHeader: false,
    },
    guardedWithLog(parts.log, 'unhandled error in a probe', serve, (_request, { socket }) => socket?.destroy()),
  )
  return server
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` }
}

/** Runs work at most once at a time; later callers within `shared` get the same result. */
function share<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined
  const forget = () => {
    current = undefined
  }
  return () => {
    current ??= work().finally(() => setTimeout(forget, shared).unref())
    return current
  }
}
