// /admin/clients/:id/secrets: secrets for client_secret_basic. Two at once are valid, so that they can be rotated without a
// gap. A secret is shown once, in the response that creates it; only its hash is stored.
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { usesSecret } from '../core/client.ts'
import { hashSecret } from '../server/clients/client-secret.ts'
import { ConflictError } from '../store/store.ts'
import type { OpsParts } from './parts.ts'
import { OpsRefusal, unknownClient } from './refusals.ts'

export function secretRoutes(app: FastifyInstance, { clients, store, audit, inTurn }: OpsParts): void {
  app.post<{ Params: { id: string } }>('/admin/clients/:id/secrets', (request, reply) =>
    inTurn(async () => {
      const { id } = request.params
      const registered = clients.get(id)
      if (registered === undefined) throw unknownClient()
      const { client } = registered
      if (!usesSecret(client))
        throw new OpsRefusal(409, [
          `${id} never uses a secret, because it authenticates by ${client.method}; register it with client_secret_basic first`,
        ])
      const secret = randomBytes(32).toString('base64url')
      const secretId = randomBytes(6).toString('hex')
      try {
        await store.putSecret(id, secretId, await hashSecret(secret))
      } catch (error) {
        throw error instanceof ConflictError ? new OpsRefusal(409, [error.message]) : error
      }
      audit.clientChanged(request, id, 'secret_added', secretId)
      return reply.code(201).send({ client_id: id, secret_id: secretId, secret })
    }),
  )

  app.delete<{ Params: { id: string; secret: string } }>('/admin/clients/:id/secrets/:secret', request =>
    inTurn(async () => {
      const { id, secret } = request.params
      if (clients.get(id) === undefined) throw unknownClient()
      if (!(await store.removeSecret(id, secret))) throw new OpsRefusal(404, [`${id} has no secret with this id`])
      audit.clientChanged(request, id, 'secret_removed', secret)
      return { client_id: id, secret_id: secret, removed: true }
    }),
  )
}
