// GET /health: the process lives. GET /ready: it can make decisions, so send it clients. Neither needs a token, and
// neither answer is a security event: probes ask every few seconds.
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../core/errors.ts'
import { refuse } from '../http/errors.ts'
import { maximumSilence } from '../http/state.ts'
import type { OpsParts } from './parts.ts'

export function healthRoutes(app: FastifyInstance, { store, isServing }: OpsParts): void {
  const config = { openOnLoopback: true }
  app.get('/health', { config }, () => ({ status: 'alive' }))
  app.get('/ready', { config }, async (request, reply) => {
    try {
      await store.check()
      if (isServing() && store.lastNews() <= maximumSilence) return { status: 'ready' }
    } catch (error) {
      request.log.warn({ err: (error as Error).cause ?? error }, 'not ready: the store does not answer')
    }
    return refuse(request, reply, new OAuthError('temporarily_unavailable', 'store_unavailable'))
  })
}
