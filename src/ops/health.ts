// GET /health: the process is alive. GET /ready: it can make decisions and serve clients. Neither requires a token or
// records a security event: probes call them every few seconds.
import type { FastifyInstance } from 'fastify'
import { type DetailOf, detailOf } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { refuse } from '../plugins/refuse.ts'
import { maximumSilence } from '../server/state.ts'
import type { OpsParts } from './parts.ts'
import { withProblems } from './refusals.ts'

export function healthRoutes(app: FastifyInstance, parts: OpsParts): void {
  const config = { openOnLoopback: true }
  app.get('/health', { config }, () => ({ status: 'alive' }))
  app.get('/ready', { config }, async (request, reply) => {
    const obstacle = await findObstacle(parts)
    if (obstacle === undefined) return { status: 'ready' }
    const { cause, remedy } = detailOf(obstacle.reason, obstacle.detail)
    request.log.warn({ err: obstacle.cause, detail: obstacle.detail }, `not ready: ${cause}`)
    return refuse(request, withProblems(reply, [`${cause} ${remedy}`]), obstacle)
  })
}

/** What decisions depend on. A gateway alone has no store. */
export interface ReadinessParts extends Pick<OpsParts, 'isServing' | 'isRecording'> {
  readonly store: Pick<OpsParts['store'], 'check' | 'millisecondsSinceSync'> | undefined
}

/** Returns why no decision can be made now. Each decision needs a writable store, its latest changes, and the audit log. */
export async function findObstacle({ store, isServing, isRecording }: ReadinessParts): Promise<OAuthError | undefined> {
  if (!isServing()) return obstacle('not_listening')
  if (!isRecording()) return obstacle('event_not_written')
  if (store === undefined) return undefined
  try {
    await store.check()
  } catch (error) {
    return error instanceof OAuthError ? error : Object.assign(obstacle('no_answer'), { cause: error })
  }
  return store.millisecondsSinceSync() > maximumSilence ? obstacle('stale') : undefined
}

function obstacle(detail: DetailOf<'store_unavailable'>): OAuthError {
  return new OAuthError('temporarily_unavailable', 'store_unavailable', detail)
}
