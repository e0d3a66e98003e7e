// GET /health: the process lives. GET /ready: it can make decisions, so send it clients. Neither needs a token, and
// neither answer is a security event: probes ask every few seconds.
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../core/errors.ts'
import { refuse } from '../http/errors.ts'
import { maximumSilence } from '../http/state.ts'
import type { OpsParts } from './parts.ts'

export function healthRoutes(app: FastifyInstance, parts: OpsParts): void {
  const config = { openOnLoopback: true }
  app.get('/health', { config }, () => ({ status: 'alive' }))
  app.get('/ready', { config }, async (request, reply) => {
    const obstacle = await findObstacle(parts)
    if (obstacle === undefined) return { status: 'ready' }
    request.log.warn({ err: obstacle.cause }, `not ready: ${obstacle.message}`)
    return refuse(request, reply, new OAuthError('temporarily_unavailable', 'store_unavailable', 'no_answer'))
  })
}

/** Why no decisions can be made now, if so: each needs the store, what it has told lately, and a line for its event. */
export async function findObstacle({
  store,
  isServing,
  isRecording,
}: Pick<OpsParts, 'store' | 'isServing' | 'isRecording'>): Promise<Error | undefined> {
  if (!isServing()) return new Error('the listener takes no connections')
  if (!isRecording()) return new Error('security events cannot be written')
  if (store.lastNews() > maximumSilence) return new Error('the store has told nothing for too long')
  try {
    await store.check()
  } catch (error) {
    return new Error('the store does not answer', { cause: (error as Error).cause ?? error })
  }
  return undefined
}
