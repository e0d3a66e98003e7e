// POST /admin/reload: loads the files of the server again, as SIGHUP does, and returns what was loaded, or why not.
import type { FastifyInstance } from 'fastify'
import type { OpsParts } from './parts.ts'

export function reloadRoute(app: FastifyInstance, { reload, inTurn }: OpsParts): void {
  if (reload === undefined) return
  app.post('/admin/reload', () => inTurn(async () => ({ reloaded: await reload() })))
}
