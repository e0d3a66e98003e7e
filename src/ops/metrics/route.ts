// GET /metrics: all metrics in the text format of Prometheus. Requires no token, since they identify no client. Records no
// event, since it is scraped every few seconds.
import type { FastifyInstance } from 'fastify'
import { Gauge, type Registry } from 'prom-client'
import { findObstacle, type ReadinessParts } from '../health.ts'
import type { OpsParts } from '../parts.ts'

export function metricsRoute(app: FastifyInstance, parts: OpsParts, registry: Registry): void {
  registerReadiness(registry, parts)
  app.get('/metrics', { config: { openOnLoopback: true } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await (parts.writeMetrics?.(registry) ?? registry.metrics())),
  )
}

/** Registers `tlsbound_ready`, once: the probe listener has it too. */
export function registerReadiness(registry: Registry, parts: ReadinessParts): void {
  if (registry.getSingleMetric('tlsbound_ready') !== undefined) return
  new Gauge({
    name: 'tlsbound_ready',
    help: '1: requests can be decided, as GET /ready reports.',
    registers: [registry],
    async collect() {
      this.set(Number((await findObstacle(parts)) === undefined))
    },
  })
}
