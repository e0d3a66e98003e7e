// POST /admin/backup: a consistent copy of the state, while the server runs.
import type { FastifyInstance } from 'fastify'
import type { OpsParts } from './parts.ts'
import { OpsRefusal } from './refusals.ts'

export function backupRoute(app: FastifyInstance, { store, log }: OpsParts): void {
  let isUnderWay = false

  app.post('/admin/backup', async (_request, reply) => {
    if (store.backup === undefined)
      throw new OpsRefusal(409, [
        'the state of this server is not in an SQLite file; back it up with the tools of its database, for PostgreSQL pg_dump --format=custom',
      ])
    if (isUnderWay) throw new OpsRefusal(409, ['a backup is under way; try again when it has ended'])
    isUnderWay = true
    try {
      const file = await store.backup()
      const content = file.createReadStream()
      content.once('close', () => {
        isUnderWay = false
      })
      const { size } = await file.stat()
      log.info(`a backup of the state was requested: ${size} octets`)
      return reply.type('application/vnd.sqlite3').header('content-length', size).send(content)
    } catch (error) {
      isUnderWay = false
      throw error
    }
  })
}
