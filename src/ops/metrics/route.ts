// GET /metrics: everything that is measured, in the text form of Prometheus. Needs no token, since it names nobody; it is
// asked for every few seconds, and makes no event.
import type { FastifyInstance } from 'fastify'
import { Gauge, type Registry } from 'prom-client'
import { findObstacle } from '../health.ts'
import type { OpsParts } from '../parts.ts'

export function metricsRoute(app: FastifyInstance, parts: OpsParts, registry: Registry): void {
  new Gauge({
    name: 'tlsbound_ready',
    help: '1: requests can be decided, as GET /ready reports.',
    registers: [registry],
    async collect() {
      this.set(Number((await findObstacle(parts)) === undefined))
    },
  })
  app.get('/metrics', { config: { openOnLoopback: true } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
}
